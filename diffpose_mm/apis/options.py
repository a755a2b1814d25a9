"""What a call of the inferencer may be asked for; the defaults stand here and nowhere else."""

import os
import os.path as osp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..clip import check_frame_offsets
from ..keypoint_sets import keypoint_set
from .formats import check_formats
from .naming import folder_of
from .windows import check_mode

SKELETON_STYLES = ('mmpose', 'openpose')


@dataclass
class InferenceOptions:
    """The options of one run, checked as soon as they are made; nothing is opened for that.

    Attributes:
        return_datasamples: Give data samples in place of dicts.
        batch_size: Frames a pass of the detector, and people times frames a pass of the pose
            model. Live input is always taken frame by frame.
        out_dir: Writes to ``out_dir/visualizations`` and ``out_dir/predictions``.
        as_clip: The images of a list or folder are consecutive frames.
        fps: Frames a second, where the input has no frame rate of its own.
        reconnect_at_end: Connect to a stream again also when the other side ends it.
        mode: 'offline' (the whole window) or 'causal' (no frame after the keyframe; it stands in
            for them). Defaults to 'causal' for live input, else 'offline'.
        frame_offsets: Of the window, in place of the config's; equally many.
        streaming: Each person-frame goes through the backbone once, and not with every window
            that it belongs to; see :class:`StreamingPoser`. Only for clips.
        sampling_steps, num_hypotheses: In place of the config's ``test_cfg``.
        keypoints: Give the keypoints of this set, in place of the model's: a name in
            ``KEYPOINT_SETS``. Those that the model does not have are absent: (0, 0) with score 0.
        return_hypotheses: Put ``hypotheses`` and ``hypothesis_scores`` into the predictions.
        bboxes: Boxes, see :class:`GivenBoxes`. No detector runs.
        bbox_thr, nms_thr: Of the detector.
        max_people: The most people of a frame that the detector gives; the best ones are kept.
        use_oks_tracking, tracking_thr: Track by keypoints in place of boxes; least similarity.
        merge_results: False gives one data sample a person.
        pose_based_nms: Leave out poses that lie on another one's joints.
        return_vis, show, wait_time, draw_bbox, draw_heatmap, radius, thickness, kpt_thr,
            skeleton_style, black_background, vis_out_dir, pred_out_dir: As in
            ``MMPoseInferencer``. None for ``radius`` and ``thickness`` goes by the size of the
            frame.
        draw_spread, draw_hypotheses: What :class:`ClipPoseVisualizer` adds, where there is more
            than one hypothesis.
        formats: Of the predictions in ``pred_out_dir``; names in ``FORMATS``.
        resume: Go on with the predictions of a video in ``pred_out_dir``; the frames that are
            there are given again, and drawn, without the model.
        return_datasample: Old name of ``return_datasamples``.

    Raises:
        ValueError: An option out of range, or two that exclude each other.
        TypeError: An option of the wrong type.
    """

    return_datasamples: bool = False
    batch_size: int = 1
    out_dir: str | None = None
    as_clip: bool = False
    fps: float | None = None
    reconnect_at_end: bool = False
    mode: str | None = None
    frame_offsets: Sequence[int] | None = None
    streaming: bool = False
    sampling_steps: int | None = None
    num_hypotheses: int | None = None
    keypoints: str | None = None
    return_hypotheses: bool = False
    bboxes: Sequence | Mapping | None = None
    bbox_thr: float = 0.3
    nms_thr: float = 0.3
    max_people: int | None = None
    use_oks_tracking: bool = False
    tracking_thr: float = 0.3
    merge_results: bool = True
    pose_based_nms: bool = False
    return_vis: bool = False
    show: bool | None = None
    wait_time: float = 0
    draw_bbox: bool = False
    draw_heatmap: bool = False
    draw_spread: bool = True
    draw_hypotheses: bool = True
    radius: int | None = 3
    thickness: int | None = 1
    kpt_thr: float = 0.3
    skeleton_style: str = 'mmpose'
    black_background: bool = False
    vis_out_dir: str = ''
    pred_out_dir: str = ''
    formats: Sequence[str] = ('json',)
    resume: bool = False
    return_datasample: bool | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without the model and the input."""
        if self.return_datasample is not None:
            self.return_datasamples = self.return_datasample
        if self.out_dir is not None:
            self.vis_out_dir = self.vis_out_dir or osp.join(self.out_dir, 'visualizations')
            self.pred_out_dir = self.pred_out_dir or osp.join(self.out_dir, 'predictions')
        self.vis_out_dir = os.fspath(self.vis_out_dir or '')
        self.pred_out_dir = os.fspath(self.pred_out_dir or '')
        size = self.batch_size
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f'batch_size={size!r} has to be a whole number of at least 1')
        self.batch_size = int(size)
        most = self.max_people
        if most is not None and (
            isinstance(most, bool) or not isinstance(most, (int, np.integer)) or most < 1
        ):
            raise ValueError(f'max_people={most!r} has to be a whole number of at least 1')
        for name in ('bbox_thr', 'nms_thr', 'tracking_thr', 'kpt_thr', 'wait_time'):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or value != value:
                raise ValueError(f'{name}={value!r} has to be a number')
        for name in ('radius', 'thickness'):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and value >= 0):
                raise ValueError(f'{name}={value!r} has to be a number of at least 0, in pixels')
        if self.fps is not None:
            is_number = isinstance(self.fps, (int, float)) and not isinstance(self.fps, bool)
            if not (is_number and 0.001 <= self.fps <= 100_000):
                raise ValueError(f'fps={self.fps!r} has to be 0.001 to 100000 frames a second')
        if self.mode is not None:
            check_mode(self.mode)
        if self.frame_offsets is not None:
            if not isinstance(self.frame_offsets, (list, tuple)):
                raise ValueError(
                    f'frame_offsets={self.frame_offsets!r} has to be a list of integers'
                )
            check_frame_offsets(tuple(self.frame_offsets))
        if self.keypoints is not None:
            keypoint_set(self.keypoints)
        if self.skeleton_style not in SKELETON_STYLES:
            raise ValueError(
                f'skeleton_style={self.skeleton_style!r} has to be one of {SKELETON_STYLES}'
            )
        if self.streaming and self.use_oks_tracking:
            raise ValueError('streaming needs tracks before poses: use_oks_tracking=False')
        if self.resume and self.pose_based_nms:
            raise ValueError(
                'resume cannot be combined with pose_based_nms: the log does not record '
                'suppressed poses'
            )
        self.formats = check_formats(self.formats)
        if self.resume and 'json' not in self.formats:
            raise ValueError("resume goes on with the JSON of a run: add 'json' to formats")

    @property
    def folders(self) -> list[str]:
        """Folders that will be written to."""
        return [folder for folder in (self.pred_out_dir, folder_of(self.vis_out_dir)) if folder]

    @property
    def draws(self) -> bool:
        """Whether poses have to be drawn."""
        return bool(self.return_vis or self.show or self.vis_out_dir)
