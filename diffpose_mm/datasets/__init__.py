"""Data: PoseTrack clips, their transforms, and the order in which they are visited.

The synthetic people live in ``diffpose_mm.synthetic``, which is imported only where it is
used.
"""

from .body import (
    JHMDBClipDataset,
    PoseTrack17ClipDataset,
    PoseTrack18ClipDataset,
    PoseTrack21ClipDataset,
)
from .samplers import ClipBlockSampler
from .transforms import (
    CLIP_META_KEYS,
    ClipCoarseDropout,
    ClipPhotometricDistortion,
    ClipRandomFlip,
    LoadClip,
    PackClipInputs,
)

__all__ = [
    'CLIP_META_KEYS',
    'ClipBlockSampler',
    'ClipCoarseDropout',
    'ClipPhotometricDistortion',
    'ClipRandomFlip',
    'JHMDBClipDataset',
    'LoadClip',
    'PackClipInputs',
    'PoseTrack17ClipDataset',
    'PoseTrack18ClipDataset',
    'PoseTrack21ClipDataset',
]
