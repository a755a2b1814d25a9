"""Clips for mmpose's own inferencers: the only place where this package changes mmpose.

``MMPoseInferencer`` hands its pipeline one frame at a time. With :func:`install_hook`, a pipeline
that loads clips gets the frame's neighbours too (of a video or webcam: a symmetric window, borders
replicated) or, for a single picture, the picture T times. Two more things are made right for such
pipelines only: a frame in which the detector finds nobody gives nobody, where mmpose would pose
the whole image, and a detector without ``det_cat_ids`` has label 0 for people, where mmpose would
find none. For every other pipeline the wrapped methods are called as they were. Once the package
is imported, mmpose's inferencers also know its configs by name, 'diffpose' among them; other names
go where they went.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import mmcv
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpose.apis.inferencers import Pose2DInferencer
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer
from mmpose.structures import PoseDataSample

from ..configs import ALIASES, find_config, packaged_configs
from .windows import Window, clip_offsets, iterate_windows, loads_clips, still_window

_MARK = '_diffpose_mm_original'


class ClipPipeline(Compose):
    """A pipeline of clips that is given frames: it adds the current window to each sample.

    Args:
        pipeline: The composed pipeline to run.
        detects: Whether a detector looks for people, so that there may be none.

    Attributes:
        window: The current one, or None.
        nobody: Whether mmpose made up a person for want of one.
    """

    def __init__(self, pipeline: Compose, detects: bool) -> None:
        super().__init__(pipeline.transforms)
        self.detects = detects
        self.window: Window | None = None
        self.nobody = False

    def __call__(self, data: dict) -> dict | None:
        """Run the pipeline on one person of the current keyframe."""
        if self.window is not None:
            self.nobody = self.detects and _is_made_up(data, self.window.frame)
            data = {**data, **self.window.results()}
        return super().__call__(data)


def _is_made_up(data: dict, frame: Any) -> bool:
    """Whether a box is what mmpose takes for want of one: all of the image, with certainty."""
    if data['bbox_score'] != 1:
        return False
    height, width = (mmcv.imread(frame) if isinstance(frame, str) else frame).shape[:2]
    return data['bbox'].tolist() == [[0, 0, width, height]]


def install_hook() -> None:
    """Wrap two methods of the base inferencer and one of the one for 2D, once."""
    original = BaseMMPoseInferencer.preprocess
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def preprocess(self: BaseMMPoseInferencer, inputs: Any, *args: Any, **kwargs: Any) -> Iterator:
        if loads_clips(getattr(self, 'pipeline', None)):
            inputs = _keyframes(self, inputs)
        return original(self, inputs, *args, **kwargs)

    setattr(preprocess, _MARK, original)
    BaseMMPoseInferencer.preprocess = preprocess

    infer = Pose2DInferencer.forward

    @functools.wraps(infer)
    def forward(self: Pose2DInferencer, *args: Any, **kwargs: Any) -> list[PoseDataSample]:
        samples = infer(self, *args, **kwargs)
        if isinstance(self.pipeline, ClipPipeline) and self.pipeline.nobody:
            for sample in samples:
                sample.pred_instances = sample.pred_instances[:0]
                if 'pred_fields' in sample:
                    sample.pred_fields.heatmaps[...] = 0
        return samples

    setattr(forward, _MARK, infer)
    Pose2DInferencer.forward = forward

    load = BaseMMPoseInferencer._load_model_from_metafile

    @functools.wraps(load)
    def load_by_name(self: BaseMMPoseInferencer, model: str) -> tuple[Config, str | None]:
        name = ALIASES.get(model.lower(), model.lower())
        if name not in packaged_configs():
            return load(self, model)
        return Config.fromfile(find_config(name)), None

    setattr(load_by_name, _MARK, load)
    BaseMMPoseInferencer._load_model_from_metafile = load_by_name


def _keyframes(inferencer: BaseMMPoseInferencer, inputs: Iterable) -> Iterator:
    """The inputs, in order; while one is out, the pipeline knows its window."""
    if not isinstance(inferencer.pipeline, ClipPipeline):
        detects = getattr(inferencer, 'detector', None) is not None
        inferencer.pipeline = ClipPipeline(inferencer.pipeline, detects)
        if detects and inferencer.det_cat_ids == (None,):
            inferencer.det_cat_ids = (0,)
    pipeline = inferencer.pipeline
    offsets = clip_offsets(inferencer.cfg)
    # A reader of mmcv starts again whenever it is iterated over; here it is once.
    if getattr(inferencer, '_video_input', False):
        windows = iterate_windows(inputs, offsets)
    else:
        windows = (still_window(frame, offsets) for frame in inputs)
    try:
        for window in windows:
            pipeline.window = window
            yield window.frame
    finally:
        pipeline.window, pipeline.nobody = None, False
