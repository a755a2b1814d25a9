"""Frames as they happen: network cameras and cameras of this machine."""

import logging
import os
import os.path as osp
import re
import stat
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
from mmengine.logging import print_log

from ..video_reader import VideoReader
from .frame_source import (
    SCHEME,
    FrameSource,
    SourceFrame,
    frame_name,
    local_path,
    without_secrets,
)

MAX_RECONNECTS = 5
"""Attempts to get a lost connection back, one after the other."""

STABLE_SECONDS = 60.0
"""A connection that held for so long begins the count of attempts anew."""

_WEBCAM = re.compile(r'webcam(?::(\d+))?', re.IGNORECASE)
_SCHEMES = {'rtsp', 'rtsps', 'rtmp', 'rtmps', 'http', 'https', 'udp', 'tcp', 'rtp', 'srt'}


class NetworkStream(FrameSource):
    """A camera or broadcast in the network, by its address; one connection at a time.

    A connection that breaks is opened again, at most ``MAX_RECONNECTS`` times in a row, after
    pauses that double; numbers and times go on. A stream that the other side ends between two
    frames is over, unless ``reconnect_at_end``.

    Args:
        address: For FFmpeg.
        reconnect_at_end: Connect again as well when the other side ends the stream, as a camera
            does that restarts. Defaults to False.
    """

    live = True

    def __init__(self, address: str, reconnect_at_end: bool = False) -> None:
        self.address = address
        self.reconnect_at_end = reconnect_at_end
        self.label = without_secrets(address)
        parts = urlsplit(self.label)
        stem = osp.splitext(osp.basename(parts.path.rstrip('/')))[0] or parts.hostname or 'stream'
        self.name = re.sub(r'[^\w.-]', '_', stem) + '.mp4'
        self.reconnects = 0
        self.pause = 0.5  # seconds before the first new attempt
        self._reader: VideoReader | None = None

    @classmethod
    def of(cls, inputs: Any, as_clip: bool) -> FrameSource | None:
        """Any address that is no file's."""
        if not isinstance(inputs, str) or local_path(inputs) is not None:
            return None
        match = SCHEME.match(inputs)
        if match is None:
            return None
        scheme = match[0][:-3].lower()
        if scheme == 'file':
            raise FileNotFoundError(f'input {inputs} does not exist')
        if scheme not in _SCHEMES:
            raise ValueError(
                f'input {without_secrets(inputs)}: videos come from files, or by '
                f'{", ".join(sorted(_SCHEMES))}; copy it to a file first'
            )
        return cls(inputs)

    def open(self) -> None:
        """Connect, and wait for the first frame."""
        self._reader = reader = VideoReader(self.address, is_stream=True, label=self.label)
        self.fps = reader.fps if reader.has_times else None
        self.time_base = reader.time_base if reader.has_times else Fraction(1, 1000)
        self.pixel_aspect_ratio = reader.pixel_aspect_ratio

    def __iter__(self) -> Iterator[SourceFrame]:
        """The frames.

        Raises:
            OSError: The connection could not be had back.
        """
        if self._reader is None:
            self.open()
        number, attempts, begin, seconds, offset = 0, 0, time.monotonic(), 0.0, 0.0
        try:
            while True:
                reader = self._reader
                assert reader is not None
                connected = time.monotonic()
                first: float | None = None
                try:
                    for frame in reader:
                        now = time.monotonic()
                        at = frame.time if reader.has_times and frame.time is not None else now
                        if number == 0:
                            begin = now
                        if first is None:
                            first, offset = at, now - begin
                        # What was waiting when the connection broke has times of its own.
                        seconds = max(offset + at - first, seconds + 1e-3 * (number > 0))
                        yield SourceFrame(
                            frame_name(number), frame.image, number, seconds, frame.fault
                        )
                        number += 1
                    if not self.reconnect_at_end:
                        return
                    raise OSError(f'{self.label} ended')
                except OSError as error:
                    held = time.monotonic() - connected
                    attempts = 0 if held > STABLE_SECONDS else attempts
                    attempts = self._reconnect(attempts, number, error)
        finally:
            self.close()

    def _reconnect(self, attempts: int, number: int, error: OSError) -> int:
        while attempts < MAX_RECONNECTS:
            attempts += 1
            self.reconnects += 1
            print_log(
                f'{error}: connecting again ({attempts} of {MAX_RECONNECTS})',
                logger='current',
                level=logging.WARNING,
            )
            time.sleep(self.pause * 2 ** (attempts - 1))
            try:
                self.open()
                return attempts
            except (OSError, ValueError) as again:
                error = OSError(str(again))
        raise OSError(
            f'{error}; given up after {number} frames and {MAX_RECONNECTS} attempts to reconnect'
        )

    def close(self) -> None:
        """Hang up."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class Camera(FrameSource):
    """A camera of this machine, by its index or device file, read by OpenCV."""

    live = True
    name = 'webcam.mp4'
    time_base = Fraction(1, 1000)

    def __init__(self, device: int | str) -> None:
        self.device = device
        self._capture: cv2.VideoCapture | None = None

    @classmethod
    def of(cls, inputs: Any, as_clip: bool) -> FrameSource | None:
        """An index, 'webcam', 'webcam:1' or a device file such as /dev/video0."""
        if isinstance(inputs, (int, np.integer)) and not isinstance(inputs, bool):
            if inputs < 0:
                raise ValueError(f'camera {inputs}: the index of a camera is 0 or more')
            return cls(int(inputs))
        path = local_path(inputs)
        if path is not None:
            return cls(path) if stat.S_ISCHR(os.stat(path).st_mode) else None
        if not isinstance(inputs, (str, os.PathLike)):
            return None
        text = os.fspath(inputs)
        match = _WEBCAM.fullmatch(text)
        if match:
            return cls(int(match[1] or 0))
        if re.fullmatch(r'/dev/video\d+', text):
            raise OSError(f'{text} does not exist: no such camera, or it is not connected')
        return None

    def open(self) -> None:
        """Open the camera."""
        self._capture = capture = cv2.VideoCapture(self.device)
        if not capture.isOpened():
            capture.release()
            raise OSError(
                f'webcam {self.device} cannot be opened: no such camera, or another program uses it'
            )
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else None

    def __iter__(self) -> Iterator[SourceFrame]:
        """The frames, with the time at which each was taken."""
        if self._capture is None:
            self.open()
        capture, self._capture = self._capture, None
        assert capture is not None
        number, begin = 0, 0.0
        try:
            while True:
                good, frame = capture.read()
                if not good:
                    return
                now = time.monotonic()
                begin = now if number == 0 else begin
                yield SourceFrame(frame_name(number), frame, number, now - begin)
                number += 1
        finally:
            capture.release()

    def close(self) -> None:
        """Release the camera."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
