"""Official PoseTrack downloads brought into the form that the data sets read."""

from .official_files import BrokenFileError, Video, read_video
from .posetrack import find_annotations, prepare
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
