"""Clips for mmpose's own inferencers: the only place where this package changes mmpose.

``MMPoseInferencer`` hands its pipeline one frame at a time. With :func:`install_hook`, a pipeline
that loads clips gets the frame's neighbours too (of a video or webcam: a symmetric window, borders
replicated) or, for a single picture, the picture T times. Two more things are made right for such
pipelines only: a frame in which the detector finds nobody gives nobody, where mmpose would pose
the whole image, and a detector without ``det_cat_ids`` has label 0 for people, where mmpose would
find none. Weights that do not fit a model of ours are an error, where mmpose would go on with those
that do. For every other pipeline the wrapped methods are called as they were. Once the package
is imported, mmpose's inferencers also know its configs by name, 'diffpose' among them; other names
go where they went.
"""

import functools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import mmcv
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpose.apis.inferencers import Pose2DInferencer
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer
from mmpose.structures import PoseDataSample
from torch import nn

from ..configs import ALIASES, packaged_configs, read_config
from ..loading import compare
from ..models import TopdownClipEstimator
from .defaults import weights_of_config
from .file_sources import Video
from .pipeline import numbered
from .video_sink import DEFAULT_FPS
from .windows import Frame, Window, clip_offsets, iterate_windows, loads_clips, still_window

_MARK = '_diffpose_mm_original'


class ClipPipeline(Compose):
    """A pipeline of clips that is given frames: it adds the current window to each sample.

    Args:
        pipeline: The composed pipeline to run.
        detects: Whether a detector looks for people, so that there may be none.

    Attributes:
        window: The current one, or None.
        damaged: Whether the keyframe cannot be read, and the window holds the frame before it.
        nobody: Whether mmpose made up a person for want of one.
    """

    def __init__(self, pipeline: Compose, detects: bool) -> None:
        super().__init__(pipeline.transforms)
        self.detects = detects
        self.window: Window | None = None
        self.damaged = self.nobody = False

    def __call__(self, data: dict) -> dict | None:
        """Run the pipeline on one person of the current keyframe."""
        if self.window is not None:
            self.nobody = self.damaged or (
                self.detects and _is_fallback_box(data, self.window.frame.image)
            )
            data = {**data, **self.window.results()}
        return super().__call__(data)


def _is_fallback_box(data: dict, frame: Any) -> bool:
    """Whether this is MMPose's fallback box: the full image with score 1."""
    if data['bbox_score'] != 1:
        return False
    height, width = (mmcv.imread(frame) if isinstance(frame, str) else frame).shape[:2]
    return data['bbox'].tolist() == [[0, 0, width, height]]


def install_hook() -> None:
    """Wrap four methods of the base inferencer and one of the one for 2D, once."""
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

    to_list = BaseMMPoseInferencer._inputs_to_list

    @functools.wraps(to_list)
    def inputs_to_list(self: BaseMMPoseInferencer, inputs: Any) -> Any:
        if loads_clips(getattr(self, 'pipeline', None)):
            video = Video.of(inputs, False)
            if video is not None:
                return _open_video(self, video)
        return to_list(self, inputs)

    setattr(inputs_to_list, _MARK, to_list)
    BaseMMPoseInferencer._inputs_to_list = inputs_to_list

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

    fill = BaseMMPoseInferencer._load_weights_to_model

    @functools.wraps(fill)
    def load_weights(
        self: BaseMMPoseInferencer, model: nn.Module, checkpoint: dict | None, cfg: Any
    ) -> None:
        # DiffPoseInferencer has compared them.
        if isinstance(model, TopdownClipEstimator) and checkpoint and not hasattr(self, '_weights'):
            compare(model, checkpoint, 'pose2d_weights')
        fill(self, model, checkpoint, cfg)

    setattr(load_weights, _MARK, fill)
    BaseMMPoseInferencer._load_weights_to_model = load_weights

    load = BaseMMPoseInferencer._load_model_from_metafile

    @functools.wraps(load)
    def load_by_name(self: BaseMMPoseInferencer, model: str) -> tuple[Config, str | None]:
        name = ALIASES.get(model.lower(), model.lower())
        if name not in packaged_configs():
            return load(self, model)
        return read_config(name), weights_of_config(name)

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
    if getattr(inferencer, '_video_input', False):
        windows = iterate_windows(inputs, offsets)
    else:
        windows = (still_window(frame, offsets) for frame in inputs)
    shown: Any = None
    try:
        for window in windows:
            pipeline.damaged = window.frame.fault is not None
            if not pipeline.damaged:
                shown = window.frame.image
            # MMPose counts frames, so that a damaged one needs a picture; nobody is found in it.
            pipeline.window = still_window(shown, offsets) if pipeline.damaged else window
            yield shown
    finally:
        pipeline.window, pipeline.damaged, pipeline.nobody = None, False, False


def _open_video(inferencer: BaseMMPoseInferencer, video: Video) -> Iterator[Frame]:
    """What mmpose does with a video, with the frames of this package's reader.

    They are turned as players show them; a damaged one has a number and a fault.
    """
    video.open()
    rate = Fraction(video.fps or DEFAULT_FPS).limit_denominator(1001)
    if rate.numerator > 65_535:
        # MPEG-4, which mmpose writes, has 16 bits for it.
        rate = Fraction(round(rate, 2))
    width, height = video.size
    inferencer._video_input = True
    inferencer.video_info = dict(
        fps=float(rate), name=video.name, writer=None, width=width, height=height, predictions=[]
    )
    return _from_first_image(numbered(video), video.name)


def _from_first_image(frames: Iterator[Frame], name: str) -> Iterator[Frame]:
    for frame in frames:
        if frame.index == 0 and frame.fault is not None:
            raise ValueError(f'video {name}: its first frame is damaged, which MMPose cannot skip')
        yield frame
