"""Frames of files and of memory: videos, pictures, folders, iterators."""

import hashlib
import mimetypes
import os
import os.path as osp
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from diffpose_mm_runtime.frames import natural_order

from ..files import data_files
from ..identity import value_identity
from ..images import read_image, to_bgr
from ..video_reader import VideoReader
from .frame_source import (
    SCHEME,
    FrameSource,
    SourceFrame,
    frame_name,
    local_path,
    without_secrets,
)

# What the system's table of types may not hold.
_PICTURES = {'.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.bmp', '.webp', '.tif', '.tiff', '.avif'}


class Video(FrameSource):
    """A video file; see :class:`VideoReader`."""

    from_disk = True

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = osp.basename(path)
        self.paths = (path,)
        self.size = (0, 0)
        self._reader: VideoReader | None = None

    @classmethod
    def of(cls, inputs: Any, as_clip: bool) -> 'Video | None':
        """Any file that is no picture by its name."""
        path = local_path(inputs)
        if path is None or not osp.isfile(path) or is_picture(path):
            return None
        return cls(path)

    def open(self) -> None:
        """Decode the first frame."""
        self._reader = reader = VideoReader(self.path)
        self.fps, self.count = reader.fps, reader.count
        self.time_base, self.pixel_aspect_ratio = reader.time_base, reader.pixel_aspect_ratio
        self.size = reader.width, reader.height

    def __iter__(self) -> Iterator[SourceFrame]:
        """The frames, gaps for damaged ones."""
        reader, self._reader = self._reader or VideoReader(self.path), None
        for frame in reader:
            name = frame_name(frame.number)
            yield SourceFrame(name, frame.image, frame.number, frame.time, frame.fault)

    def close(self) -> None:
        """Close the file."""
        if self._reader is not None:
            self._reader.close()


class Pictures(FrameSource):
    """Pictures: paths, addresses or arrays; one, or several apart or as a clip.

    Args:
        images: The pictures.
        as_clip: They are consecutive frames.
        name: File name that outputs of a clip are called after.
    """

    from_disk = True

    def __init__(self, images: Sequence[Any], as_clip: bool, name: str = 'frames.mp4') -> None:
        if not len(images):
            raise ValueError('inputs is an empty list: there is nothing to do')
        self.images = [os.fspath(i) if isinstance(i, os.PathLike) else i for i in images]
        for image in self.images:
            if isinstance(image, str) and not SCHEME.match(image) and not osp.lexists(image):
                raise FileNotFoundError(f'image {image} does not exist (in {os.getcwd()})')
        self.is_clip = as_clip
        self.name = name
        self.count = len(self.images)
        self.names = [
            _label(image) if isinstance(image, str) else frame_name(index)
            for index, image in enumerate(self.images)
        ]
        self.paths = [i for i in self.images if isinstance(i, str) and not SCHEME.match(i)]

    @classmethod
    def of(cls, inputs: Any, as_clip: bool) -> FrameSource | None:
        """A picture, a list of pictures or a folder."""
        if isinstance(inputs, np.ndarray):
            return cls(list(inputs) if inputs.ndim == 4 else [inputs], as_clip)
        if isinstance(inputs, (list, tuple)):
            return cls(inputs, as_clip)
        path = local_path(inputs)
        if path is not None and osp.isdir(path):
            names = [
                name
                for name in data_files(path)
                if is_picture(name) and not osp.isdir(osp.join(path, name))
            ]
            if not names:
                raise ValueError(f'folder {path} holds no images')
            names.sort(key=natural_order)
            name = osp.basename(osp.abspath(path)) + '.mp4'
            return cls([osp.join(path, name) for name in names], as_clip, name)
        if path is None and isinstance(inputs, (str, os.PathLike)):
            path = os.fspath(inputs)
            path = path if SCHEME.match(path) else None
        if path is not None and is_picture(_label(path)):
            return cls([path], as_clip, osp.basename(_label(path)))
        return None

    def content(self) -> dict[str, Any]:
        """The files, and arrays and addresses as well, in their order."""
        others = [
            name if isinstance(image, str) else _array_digest(image)
            for image, name in zip(self.images, self.names)
            if not isinstance(image, str) or SCHEME.match(image)
        ]
        return dict(super().content(), **(dict(others=value_identity(others)) if others else {}))

    def __iter__(self) -> Iterator[SourceFrame]:
        """The pictures; of several, one that cannot be read is a gap."""
        for index, image in enumerate(self.images):
            if not isinstance(image, str):
                yield SourceFrame(frame_name(index), to_bgr(image, f'inputs[{index}]'), index)
                continue
            is_address, name = bool(SCHEME.match(image)), self.names[index]
            try:
                if not is_address and osp.lexists(image) and not osp.isfile(image):
                    raise ValueError(f'{image} is no file (a folder, a pipe or a dead link)')
                yield SourceFrame(name, read_image(image), index)
            except (OSError, ValueError) as error:
                reason = str(error).replace(image, name)
                if len(self.images) > 1:
                    yield SourceFrame(name, None, index, None, reason)
                elif is_address:
                    raise OSError(reason) from None
                else:
                    raise


def _array_digest(image: Any) -> str:
    array = np.asarray(image)
    head = f'{array.shape} {array.dtype} '.encode()
    return hashlib.blake2b(head + array.tobytes(), digest_size=8).hexdigest()


class FrameIterator(FrameSource):
    """Any iterable of arrays: the frames of a video that somebody else reads."""

    def __init__(self, frames: Iterable[Any]) -> None:
        self.frames = frames

    @classmethod
    def of(cls, inputs: Any, as_clip: bool) -> FrameSource | None:
        """Anything that can be iterated over."""
        if isinstance(inputs, Iterable) and not isinstance(inputs, (str, bytes)):
            return cls(inputs)
        return None

    def __iter__(self) -> Iterator[SourceFrame]:
        """The frames."""
        for index, frame in enumerate(self.frames):
            yield SourceFrame(frame_name(index), to_bgr(frame, f'frame {index}'), index)


def is_picture(path: str) -> bool:
    """Whether a file is a still picture by its name; an animated GIF counts as a video."""
    suffix = osp.splitext(path)[1].lower()
    if suffix in _PICTURES or suffix == '.gif':
        return suffix != '.gif'
    return (mimetypes.guess_type(path)[0] or '').startswith('image/')


def _label(path: str) -> str:
    return without_secrets(path) if SCHEME.match(path) and not osp.lexists(path) else path
