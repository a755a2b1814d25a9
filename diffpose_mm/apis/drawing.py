"""Poses drawn on their frames."""

import copy
import os
import sys
from typing import Any

import mmcv
import numpy as np

from .options import InferenceOptions
from .output_keypoints import OutputKeypoints
from .records import Result


def has_display() -> bool:
    """Whether a window can be opened; OpenCV ends the whole process where there is no display."""
    if sys.platform != 'linux':
        return True
    return bool(os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))


class PoseDrawer:
    """Draws results with settings of its own; the inferencer's visualizer stays as it is.

    Args:
        visualizer: That of the inferencer.
        keypoints: Those that are drawn, with their skeleton and colours.
        options: Of the run.
        show: Whether to show the pictures in a window.
        window_name: Title of the window of a clip, in which pictures do not wait. Defaults to the
            name of each picture.

    Raises:
        ValueError: There is nothing to show on, or the data set has no such skeleton style.
    """

    def __init__(
        self,
        visualizer: Any,
        keypoints: OutputKeypoints,
        options: InferenceOptions,
        show: bool,
        window_name: str = '',
    ) -> None:
        if show and not has_display():
            raise ValueError('show needs a display, and there is none (DISPLAY is not set)')
        self.options = options
        # Absent keypoints have score 0 and a place that means nothing.
        least = np.finfo(np.float32).tiny if keypoints.absent else -np.inf
        self.kpt_thr = max(options.kpt_thr, float(least))
        self.show = show
        self.wait_time = 1e-5 if window_name else options.wait_time
        self.window_name = window_name
        self.visualizer = copy.copy(visualizer)
        self.visualizer.draw_spread = options.draw_spread
        self.visualizer.draw_hypotheses = options.draw_hypotheses
        try:
            self.visualizer.set_dataset_meta(keypoints.dataset_meta, options.skeleton_style)
        except NotImplementedError as error:
            raise ValueError(f'skeleton_style={options.skeleton_style!r}: {error}') from error

    def __call__(self, result: Result) -> np.ndarray | None:
        """The picture with its poses, HxWx3 RGB; None where there is none to draw on."""
        options, frame = self.options, result.frame
        if not isinstance(frame.image, np.ndarray):
            return None
        image = mmcv.bgr2rgb(frame.image)
        if options.black_background:
            image = image * 0
        unit = min(image.shape[:2]) / 240
        radius, thickness = options.radius, options.thickness
        self.visualizer.radius = max(round(2 * unit), 3) if radius is None else radius
        self.visualizer.line_width = max(round(unit), 2) if thickness is None else thickness
        sample = result.merged
        assert sample is not None
        return self.visualizer.add_datasample(
            self.window_name or frame.name,
            image,
            sample,
            draw_gt=False,
            draw_bbox=options.draw_bbox and len(sample.pred_instances) > 0,
            show=self.show,
            wait_time=self.wait_time,
            kpt_thr=self.kpt_thr,
            skeleton_style=options.skeleton_style,
            draw_heatmap=options.draw_heatmap,
        )
