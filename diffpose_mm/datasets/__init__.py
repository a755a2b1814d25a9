"""Data: clips of videos, their transforms, and the order in which they are visited."""

from .body import (
    ClipDataset,
    JHMDBClipDataset,
    PoseTrack17ClipDataset,
    PoseTrack18ClipDataset,
    PoseTrack21ClipDataset,
)
from .kept_features import KeepView, KeptFeatures
from .samplers import ClipBlockSampler
from .transforms import (
    CLIP_META_KEYS,
    ClipCoarseDropout,
    ClipCompression,
    ClipDefocus,
    ClipDroppedFrames,
    ClipExposure,
    ClipMotionBlur,
    ClipMovingOccluder,
    ClipPhotometricDistortion,
    ClipRandomFlip,
    LoadClip,
    PackClipInputs,
    WeightByScore,
)

__all__ = [
    'CLIP_META_KEYS',
    'ClipBlockSampler',
    'ClipCoarseDropout',
    'ClipCompression',
    'ClipDataset',
    'ClipDefocus',
    'ClipDroppedFrames',
    'ClipExposure',
    'ClipMotionBlur',
    'ClipMovingOccluder',
    'ClipPhotometricDistortion',
    'ClipRandomFlip',
    'JHMDBClipDataset',
    'KeepView',
    'KeptFeatures',
    'LoadClip',
    'PackClipInputs',
    'PoseTrack17ClipDataset',
    'PoseTrack18ClipDataset',
    'PoseTrack21ClipDataset',
    'WeightByScore',
]
