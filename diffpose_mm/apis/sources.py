"""The table of sources: what a user may give as input."""

import os
from typing import Any

from .file_sources import FrameIterator, Pictures, Video
from .frame_source import FrameSource, SourceFrame
from .live_sources import Camera, NetworkStream

SOURCES: dict[str, type[FrameSource]] = dict(
    camera=Camera,
    pictures=Pictures,
    video=Video,
    stream=NetworkStream,
    iterator=FrameIterator,
)
"""Kinds of input, in the order in which they are asked. A new kind is one class and a name here."""


def find_source(inputs: Any, as_clip: bool = False) -> FrameSource:
    """Tell what the user gave, and make a source of frames of it, which is not opened yet.

    Args:
        inputs: An image (path, address or array), a list of images, a folder of images, a video
            file, the address of a stream, 'webcam' or 'webcam:1' or the index or device file of a
            camera, an iterator of frames, or a :class:`FrameSource`.
        as_clip: Take the images of a list or folder for consecutive frames. Defaults to False.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: The folder or the list is empty; an address of a kind that is not read.
        TypeError: Inputs of another kind.
    """
    if isinstance(inputs, FrameSource):
        return inputs
    for kind in SOURCES.values():
        source = kind.of(inputs, as_clip)
        if source is not None:
            return source
    if isinstance(inputs, (str, os.PathLike)):
        raise FileNotFoundError(f'input {os.fspath(inputs)} does not exist (in {os.getcwd()})')
    raise TypeError(
        f'inputs of type {type(inputs).__name__} cannot be read: give a path, an array, a list of '
        "these, 'webcam:0', the address of a stream, or an iterator of frames"
    )


__all__ = ['SOURCES', 'FrameSource', 'SourceFrame', 'find_source']
