"""Clips for mmpose's own inferencers: the only place where this package changes mmpose.

``MMPoseInferencer`` hands its pipeline one frame at a time. With :func:`install_hook`, a pipeline
that loads clips gets the frame's neighbours too (of a video or webcam: a symmetric window, borders
replicated) or, for a single picture, the picture T times. For every other pipeline the wrapped
method is called as it was. Once the package is imported, mmpose's inferencers also know its
configs by name, 'diffpose' among them; other names go where they went.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.config import Config
from mmengine.dataset import Compose
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer

from .configs import ALIASES, find_config, packaged_configs
from .windows import Window, clip_offsets, iterate_windows, loads_clips, still_window

_MARK = '_diffpose_mm_original'


class ClipPipeline(Compose):
    """A pipeline of clips that is given frames: it adds the current window to each sample.

    Args:
        pipeline: The composed pipeline to run.
    """

    def __init__(self, pipeline: Compose) -> None:
        super().__init__(pipeline.transforms)
        self.window: Window | None = None

    def __call__(self, data: dict) -> dict | None:
        """Run the pipeline on one person of the current keyframe."""
        if self.window is not None:
            data = {**data, **self.window.results()}
        return super().__call__(data)


def install_hook() -> None:
    """Wrap ``preprocess`` and ``_load_model_from_metafile`` of the base inferencer, once."""
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
        inferencer.pipeline = ClipPipeline(inferencer.pipeline)
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
        pipeline.window = None
