"""Human video data sets, read as clips."""

from .clip_dataset import ClipDataset
from .jhmdb_clip_dataset import JHMDBClipDataset
from .posetrack_clip_dataset import (
    PoseTrack17ClipDataset,
    PoseTrack18ClipDataset,
    PoseTrack21ClipDataset,
)

__all__ = [
    'ClipDataset',
    'JHMDBClipDataset',
    'PoseTrack17ClipDataset',
    'PoseTrack18ClipDataset',
    'PoseTrack21ClipDataset',
]
