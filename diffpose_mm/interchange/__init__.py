from .convert import check_formats, outputs, read_poses, write_formats
from .formats import POSE_FORMATS, READERS, PoseFormat
from .losses import losses
from .poses_json import read_poses_json, write_poses_json
from .table import NO_TRACK, PoseTable, TableBuilder

__all__ = [
    'NO_TRACK',
    'POSE_FORMATS',
    'PoseFormat',
    'PoseTable',
    'READERS',
    'TableBuilder',
    'check_formats',
    'losses',
    'outputs',
    'read_poses',
    'read_poses_json',
    'write_formats',
    'write_poses_json',
]
