"""Human video data sets, read as clips."""

from .posetrack_clip_dataset import (
    PoseTrack17ClipDataset,
    PoseTrack18ClipDataset,
    PoseTrack21ClipDataset,
    RandomFrameOffsets,
    check_frame_offsets,
    split_frame_name,
)

__all__ = [
    'PoseTrack17ClipDataset',
    'PoseTrack18ClipDataset',
    'PoseTrack21ClipDataset',
    'RandomFrameOffsets',
    'check_frame_offsets',
    'split_frame_name',
]
