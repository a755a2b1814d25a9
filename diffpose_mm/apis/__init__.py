"""Inference: ``DiffPoseInferencer``, and what mmpose's own inferencers need to see clips.

Importing this package wraps one method of mmpose's inferencers, see :mod:`.mmpose_hook`.
"""

from ..configs import find_config
from .inferencer import DiffPoseInferencer
from .mmpose_hook import install_hook
from .poser import ClipPoser, Crop, StreamingPoser, StreamState, Track
from .windows import FrameWindows, Window, iterate_windows, still_window

install_hook()

__all__ = [
    'ClipPoser',
    'Crop',
    'DiffPoseInferencer',
    'FrameWindows',
    'StreamState',
    'StreamingPoser',
    'Track',
    'Window',
    'find_config',
    'install_hook',
    'iterate_windows',
    'still_window',
]
