"""Where frames come from: pictures, folders, videos, webcams, iterators; all as BGR uint8."""

import logging
import mimetypes
import os
import os.path as osp
import queue
import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from mmengine.logging import print_log

from ..images import read_image, to_bgr

DEFAULT_FPS = 25.0
_WEBCAM = re.compile(r'webcam(?::(\d+))?', re.IGNORECASE)


@dataclass
class FrameSource:
    """A sequence of frames, read when it is iterated over and not before.

    Attributes:
        name: File name that outputs are called after.
        read: Gives an iterator of (name of the frame, HxWx3 uint8 BGR frame).
        is_clip: Whether the frames follow each other in time.
        live: Whether they come from a camera.
        from_disk: Whether reading them ahead makes sense.
        fps: Frames a second.
        count: How many frames there are (said to be, for a video), or None.
    """

    name: str
    read: Callable[[], Iterator[tuple[str, np.ndarray]]] = field(repr=False)
    is_clip: bool
    live: bool = False
    from_disk: bool = True
    fps: float = DEFAULT_FPS
    count: int | None = None

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return self.read()


def open_source(inputs: Any, as_clip: bool = False) -> FrameSource:
    """Tell what the user gave, and make a source of frames of it.

    Args:
        inputs: An image (path, address or array), a list of images, a folder of images, a video
            file, 'webcam' or 'webcam:1' or the index of a camera, or an iterator of frames.
        as_clip: Take the images of a list or folder for consecutive frames. Defaults to False.

    Raises:
        FileNotFoundError: There is no such file or folder.
        OSError: The webcam cannot be opened.
        ValueError: The file is neither an image nor a video that can be decoded; the folder or
            the list is empty.
        TypeError: Inputs of another kind.
    """
    if isinstance(inputs, os.PathLike):
        inputs = os.fspath(inputs)
    if isinstance(inputs, (int, np.integer)) and not isinstance(inputs, bool):
        return _webcam(int(inputs))
    if isinstance(inputs, str):
        camera = _WEBCAM.fullmatch(inputs)
        if camera:
            return _webcam(int(camera[1] or 0))
        return _from_path(inputs, as_clip)
    if isinstance(inputs, np.ndarray):
        frames = list(inputs) if inputs.ndim == 4 else [inputs]
        return _images(frames, as_clip, 'frames.mp4')
    if isinstance(inputs, (list, tuple)):
        return _images(list(inputs), as_clip, 'frames.mp4')
    if isinstance(inputs, Iterable):
        return FrameSource('frames.mp4', lambda: _numbered(inputs), True, from_disk=False)
    raise TypeError(
        f'inputs of type {type(inputs).__name__} cannot be read: give a path, an array, a list of '
        "these, 'webcam:0', or an iterator of frames"
    )


def frame_name(index: int) -> str:
    """The name that mmpose gives to frame ``index`` of a video, or to an array."""
    return f'{index}.jpg'.rjust(10, '0')


def _from_path(path: str, as_clip: bool) -> FrameSource:
    if '://' not in path:
        if osp.isdir(path):
            return _folder(path, as_clip)
        if not osp.exists(path):
            raise FileNotFoundError(f'input {path} does not exist (in {os.getcwd()})')
    kind = (mimetypes.guess_type(path)[0] or '').partition('/')[0]
    if kind == 'image':
        return _images([path], as_clip, osp.basename(path))
    return _video(path)


def _folder(path: str, as_clip: bool) -> FrameSource:
    names = [
        name
        for name in os.listdir(path)
        if (mimetypes.guess_type(name)[0] or '').startswith('image/')
    ]
    if not names:
        raise ValueError(f'folder {path} holds no images')
    # 2.jpg before 10.jpg.
    names.sort(key=lambda n: [int(s) if s.isdigit() else s for s in re.split(r'(\d+)', n)])
    source = _images([osp.join(path, name) for name in names], as_clip, '')
    source.name = osp.basename(osp.abspath(path)) + '.mp4'
    source.read = lambda: _read_images([osp.join(path, n) for n in names], skip_broken=True)
    return source


def _images(images: list, as_clip: bool, name: str) -> FrameSource:
    if not images:
        raise ValueError('inputs is an empty list: there is nothing to do')
    return FrameSource(name, lambda: _read_images(images), is_clip=as_clip, count=len(images))


def _read_images(images: list, skip_broken: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    for index, image in enumerate(images):
        if isinstance(image, os.PathLike):
            image = os.fspath(image)
        if not isinstance(image, str):
            yield frame_name(index), to_bgr(image, f'inputs[{index}]')
            continue
        try:
            frame = read_image(image)
        except ValueError as error:
            if not skip_broken:
                raise
            print_log(f'{error}: left out', logger='current', level=logging.WARNING)
            continue
        yield image, frame


def _numbered(frames: Iterable) -> Iterator[tuple[str, np.ndarray]]:
    for index, frame in enumerate(frames):
        yield frame_name(index), to_bgr(frame, f'frame {index}')


def _capture(source: str | int) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(source)
    if capture.isOpened():
        good, _ = capture.read() if isinstance(source, str) else (True, None)
        if good:
            if isinstance(source, str):
                capture.release()
                capture = cv2.VideoCapture(source)
            return capture
    capture.release()
    if isinstance(source, str):
        size = f' ({osp.getsize(source):,} bytes)' if osp.isfile(source) else ''
        raise ValueError(
            f'{source}{size} is not an image or video that can be decoded: it is of another kind '
            'than its name says, of an unknown codec, or cut short (before its first frame, or an '
            'mp4 without the index at its end)'
        )
    raise OSError(f'webcam {source} cannot be opened: no such camera, or another program uses it')


def _video(path: str) -> FrameSource:
    capture = _capture(path)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    count = count if 0 < count < 1e8 else None

    def read() -> Iterator[tuple[str, np.ndarray]]:
        index = 0
        for index, frame in enumerate(_frames_of(_capture(path)), 1):
            yield frame_name(index - 1), frame
        # Containers often announce a frame or two more than there are.
        if count is not None and index < 0.98 * count - 2:
            print_log(
                f'video {path} ends after {index} of the {count} frames that it announces: it is '
                'cut short or damaged; what was readable is used',
                logger='current',
                level=logging.WARNING,
            )

    fps = fps if 0 < fps < 1000 else DEFAULT_FPS
    return FrameSource(osp.basename(path), read, is_clip=True, fps=fps, count=count)


def _webcam(index: int) -> FrameSource:
    capture = _capture(index)
    fps = capture.get(cv2.CAP_PROP_FPS)

    def read() -> Iterator[tuple[str, np.ndarray]]:
        for number, frame in enumerate(_frames_of(capture)):
            yield frame_name(number), frame

    fps = fps if 0 < fps < 1000 else DEFAULT_FPS
    return FrameSource('webcam.mp4', read, True, live=True, from_disk=False, fps=fps)


def _frames_of(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    try:
        while True:
            good, frame = capture.read()
            if not good:
                return
            yield frame
    finally:
        capture.release()


def prefetch(items: Generator | FrameSource, depth: int = 4) -> Iterator:
    """Iterate in a thread of its own, at most ``depth`` items ahead; closed with the iterator."""
    waiting: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()

    def put(entry: tuple) -> None:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        # What is iterated over here is closed here: another thread could meet it at work.
        try:
            with closing(iter(items)) as iterator:
                for item in iterator:
                    put((item, None))
                    if stopped.is_set():
                        return
        except BaseException as error:  # noqa: B902
            put((None, error))
        else:
            put((None, StopIteration()))

    thread = threading.Thread(target=work, daemon=True, name='frames')
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join(timeout=10)
