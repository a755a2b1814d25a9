"""Transforms of clips; those of mmpose that warp all frames alike are used as they are."""

from .clip_augment import ClipCoarseDropout, ClipPhotometricDistortion, ClipRandomFlip
from .clip_damage import (
    ClipCompression,
    ClipDefocus,
    ClipDroppedFrames,
    ClipExposure,
    ClipMotionBlur,
)
from .clip_occlusion import ClipMovingOccluder
from .frame_cache import FrameCache
from .load_clip import LoadClip
from .pack_clip import CLIP_META_KEYS, PackClipInputs, WeightByScore

__all__ = [
    'CLIP_META_KEYS',
    'ClipCoarseDropout',
    'ClipCompression',
    'ClipDefocus',
    'ClipDroppedFrames',
    'ClipExposure',
    'ClipMotionBlur',
    'ClipMovingOccluder',
    'ClipPhotometricDistortion',
    'ClipRandomFlip',
    'FrameCache',
    'LoadClip',
    'PackClipInputs',
    'WeightByScore',
]
