from .poses_json import read_poses_json, write_poses_json
from .table import NO_TRACK, PoseTable, TableBuilder

__all__ = ['NO_TRACK', 'PoseTable', 'TableBuilder', 'read_poses_json', 'write_poses_json']
