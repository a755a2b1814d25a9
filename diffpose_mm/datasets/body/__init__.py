"""Human video data sets, read as clips."""

from .jhmdb_clip_dataset import JHMDBClipDataset
from .posetrack_clip_dataset import (
    PoseTrack17ClipDataset,
    PoseTrack18ClipDataset,
    PoseTrack21ClipDataset,
    split_frame_name,
)

__all__ = [
    'JHMDBClipDataset',
    'PoseTrack17ClipDataset',
    'PoseTrack18ClipDataset',
    'PoseTrack21ClipDataset',
    'split_frame_name',
]
