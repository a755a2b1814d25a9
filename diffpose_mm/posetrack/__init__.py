"""PoseTrack's files: names of keypoints, checks of records, official downloads converted."""

from .official_files import BrokenFileError, Video, read_video
from .prepare import find_annotations, prepare
from .report import FINDINGS, Report

__all__ = [
    'FINDINGS',
    'BrokenFileError',
    'Report',
    'Video',
    'find_annotations',
    'prepare',
    'read_video',
]
