"""Inference: what mmpose's inferencers need to see clips.

Importing this package wraps one method of mmpose's inferencers, see :mod:`.mmpose_hook`.
"""

from .mmpose_hook import install_hook
from .windows import FrameWindows, Window, iterate_windows, still_window

install_hook()

__all__ = ['FrameWindows', 'Window', 'install_hook', 'iterate_windows', 'still_window']
