"""What a source of frames is: the contract that all kinds of input share."""

import os
import os.path as osp
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ..identity import files_identity

SCHEME = re.compile(r'[a-z][a-z0-9+.-]*://', re.IGNORECASE)


class SourceFrame(NamedTuple):
    """What a source gives for one frame.

    Attributes:
        name: The path of the picture, or the name that mmpose gives to a frame of a video.
        image: HxWx3 uint8 BGR, or None where the frame cannot be read.
        number: Its number in the input. None counts on from the frame before.
        time: Seconds from the start, or None.
        fault: Why there is no image, else None.
    """

    name: str
    image: np.ndarray | None
    number: int | None = None
    time: float | None = None
    fault: str | None = None


class FrameSource:
    """A sequence of frames; nothing is opened before :meth:`open`.

    A subclass sets the attributes and gives frames when it is iterated over, as
    :class:`SourceFrame` or as ``(name, image)``. An instance may be passed to the inferencer in
    place of a path.

    Attributes:
        name: File name that outputs are called after.
        is_clip: Whether the frames follow each other in time.
        live: Whether they come as they happen: nothing is read ahead, and there is no end to wait
            for.
        from_disk: Whether reading them ahead makes sense.
        fps: Frames a second, or None if nobody says.
        count: Number of frames, for a video as its index lists them. None if unknown.
        time_base: Unit of the times in seconds, or None.
        pixel_aspect_ratio: Width of a pixel over its height.
        paths: Files that are read.
        names: Of pictures apart: what each is called.
        reconnects: How often a lost connection was opened again.
    """

    name: str = 'frames.mp4'
    is_clip: bool = True
    live: bool = False
    from_disk: bool = False
    fps: Fraction | float | None = None
    count: int | None = None
    time_base: Fraction | None = None
    pixel_aspect_ratio: Fraction = Fraction(1)
    paths: Sequence[str] = ()
    names: Sequence[str] = ()
    reconnects: int = 0

    @classmethod
    def of(cls, inputs: Any, as_clip: bool) -> 'FrameSource | None':
        """The source for what a user gave, or None if it is not for this class.

        Raises:
            FileNotFoundError, ValueError: It is for this class, and wrong.
        """
        return None

    def open(self) -> None:
        """Open files or connections, and fill in what they say.

        Raises:
            OSError, ValueError: It cannot be opened.
        """

    def __iter__(self) -> Iterator[SourceFrame | tuple[str, np.ndarray]]:
        """The frames."""
        raise NotImplementedError

    def content(self) -> dict[str, Any]:
        """What tells this input from others of its name. Here: the content of its files."""
        return files_identity(self.paths) if self.paths else {}

    def close(self) -> None:
        """Close what :meth:`open` has opened."""


def frame_name(index: int) -> str:
    """The name that mmpose gives to frame ``index`` of a video, or to an array."""
    return f'{index}.jpg'.rjust(10, '0')


def local_path(inputs: Any) -> str | None:
    """The path of a file or folder that is there, whatever its name looks like."""
    if not isinstance(inputs, (str, os.PathLike)):
        return None
    path = os.fspath(inputs)
    if path.lower().startswith('file://') and not osp.exists(path):
        path = path[len('file://') :]
    return path if osp.exists(path) else None


def without_secrets(address: str) -> str:
    """An address without user, password and query, for messages and files."""
    scheme, _, rest = address.partition('://')
    # A password may hold any character; what is before the last @ may be one.
    rest = rest.rpartition('@')[2]
    return f'{scheme}://{re.split("[?#]", rest)[0]}'
