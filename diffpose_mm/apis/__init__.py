"""Inference: ``DiffPoseInferencer``, and what mmpose's own inferencers need to see clips.

Importing this package wraps one method of mmpose's inferencers, see :mod:`.mmpose_hook`.
"""

from ..configs import find_config
from .formats import FORMATS
from .frame_source import FrameSource, SourceFrame
from .inferencer import DiffPoseInferencer
from .mmpose_hook import install_hook
from .options import InferenceOptions
from .poser import ClipPoser, Poser
from .records import Result
from .run import Run
from .sink import RunInfo, Sink
from .sources import SOURCES, find_source
from .streaming import Crop, StreamingPoser, StreamState, Track
from .windows import Frame, FrameWindows, Window, iterate_windows, still_window

install_hook()

__all__ = [
    'FORMATS',
    'SOURCES',
    'ClipPoser',
    'Crop',
    'DiffPoseInferencer',
    'Frame',
    'FrameSource',
    'FrameWindows',
    'InferenceOptions',
    'Poser',
    'Result',
    'Run',
    'RunInfo',
    'Sink',
    'SourceFrame',
    'StreamState',
    'StreamingPoser',
    'Track',
    'Window',
    'find_config',
    'find_source',
    'install_hook',
    'iterate_windows',
    'still_window',
]
