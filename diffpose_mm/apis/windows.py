"""Windows of frames, as the runtime has them, and what of them is in a config or a pipeline."""

from typing import Any

from mmengine.config import ConfigDict

from diffpose_mm_runtime.windows import (
    MODES,
    Frame,
    FrameWindows,
    Window,
    as_frame,
    check_mode,
    iterate_windows,
    still_window,
)

from ..clip import check_frame_offsets
from ..datasets.transforms import LoadClip

__all__ = [
    'MODES',
    'Frame',
    'FrameWindows',
    'Window',
    'as_frame',
    'check_mode',
    'clip_offsets',
    'iterate_windows',
    'loads_clips',
    'still_window',
]


def loads_clips(pipeline: Any) -> bool:
    """Whether a composed pipeline is one of clips."""
    return any(isinstance(step, LoadClip) for step in getattr(pipeline, 'transforms', ()))


def clip_offsets(cfg: ConfigDict) -> tuple[int, ...]:
    """The offsets that a config's model is tested with, oldest first."""
    offsets = cfg.test_dataloader.dataset.get('frame_offsets')
    if offsets is None:
        neck = cfg.model.get('neck') or {}
        length = neck.get('num_frames', 1)
        keyframe = neck.get('keyframe_index', length // 2)
        offsets = [i - keyframe for i in range(length)]
    return check_frame_offsets(tuple(offsets))
