"""Videos, encoded by PyAV in a thread of their own: any frame rate, exact times, any size."""

import os.path as osp
import queue
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from .files import reason_of

CONTAINERS = ('.mp4', '.m4v', '.mov', '.mkv', '.avi')
H264_OPTIONS = dict(preset='ultrafast', crf='20')
MIN_FREE_BYTES = 1 << 16  # below it a disk is full
_QUEUE = 8  # frames that wait for the encoder


def video_path(path: str) -> str:
    """``path`` itself, or ending in .mp4 where its container is not one that is written."""
    stem, suffix = osp.splitext(path)
    return path if suffix.lower() in CONTAINERS else stem + '.mp4'


class VideoWriter:
    """A video that is encoded while the next frame is worked on.

    H.264, which every player and browser shows; MPEG-4 where a side is odd (H.264 with colours as
    players take them has even sides only); Motion JPEG in .avi, which has a constant frame rate.

    Args:
        path: File to write; its folder exists.
        fps: Frames a second, for frames that are written without a time.
        time_base: Unit in which times are kept, in seconds: that of the video which the frames
            come from keeps them exactly. Defaults to the time between two frames.
        pixel_aspect_ratio: Width of a pixel over its height. Defaults to 1.
        h264_options: Of the encoder libx264, where it encodes. Defaults to fast and good
            (``preset='ultrafast', crf='20'``).

    Attributes:
        path: The file.
        frames: Frames written so far.

    Raises:
        ValueError: ``fps`` is not positive, or ``path`` is of no container in ``CONTAINERS``.
    """

    def __init__(
        self,
        path: str,
        fps: float | Fraction,
        time_base: Fraction | None = None,
        pixel_aspect_ratio: Fraction = Fraction(1),
        h264_options: Mapping[str, str] | None = None,
    ) -> None:
        if not fps > 0:
            raise ValueError(f'video {path}: fps={fps} has to be positive')
        if not path.lower().endswith(CONTAINERS):
            raise ValueError(f'video {path} has to end in one of {", ".join(CONTAINERS)}')
        self.path = path
        self.fps = Fraction(fps).limit_denominator(100_000)
        self.frames = 0
        self.size: tuple[int, int] | None = None
        self.time_base = time_base or 1 / self.fps
        self.pixel_aspect_ratio = pixel_aspect_ratio
        self.h264_options = dict(h264_options or H264_OPTIONS)
        self._last = -1
        self._convert = VideoReformatter().reformat
        self._container: Any = None
        self._stream: Any = None
        self._error: Exception | None = None
        self._waiting: queue.Queue = queue.Queue(_QUEUE)
        self._thread: threading.Thread | None = None

    def write(self, frame: np.ndarray, time: float | None = None) -> None:
        """Add a frame.

        Args:
            frame: HxWx3 uint8 BGR. One of another size than the first is fitted into its size.
            time: Seconds from the start, later than those before. Defaults to the frame's number
                over ``fps``.

        Raises:
            OSError: The file cannot be written.
        """
        size = (frame.shape[1], frame.shape[0])
        if self.size is None:
            self.size = size
            self._open()
        elif size != self.size:
            frame = _fitted(frame, self.size)
        self._raise_error()
        self._waiting.put((frame, self._time(time)))
        self.frames += 1

    def _time(self, time: float | None) -> int:
        """The frame's time in units of the time base; each is later than the one before."""
        if time is None or self._constant:
            ticks = round(self.frames / self.fps / self.time_base)
        else:
            ticks = round(Fraction(time) / self.time_base)
        self._last = max(ticks, self._last + 1)
        return self._last

    @property
    def _constant(self) -> bool:
        return self.path.lower().endswith('.avi')

    def _open(self) -> None:
        assert self.size is not None
        width, height = self.size
        if self._constant:
            codec, pixels, options = 'mjpeg', 'yuvj420p', dict(qmin='2', qmax='4')
            self.time_base = 1 / self.fps
        elif width % 2 or height % 2 or 'libx264' not in av.codecs_available:
            codec, pixels, options = 'mpeg4', 'yuv420p', dict(qmin='2', qmax='5')
            # MPEG-4 counts time in at most 16 bits a second.
            if self.time_base.denominator > 65_535:
                self.time_base = Fraction(1, 60_000)
        else:
            codec, pixels, options = 'libx264', 'yuv420p', self.h264_options
        try:
            more = dict(movflags='+faststart') if self.path.lower().endswith(('mp4', 'm4v')) else {}
            self._container = av.open('file:' + osp.abspath(self.path), 'w', options=more)
            self._stream = self._container.add_stream(codec, rate=self.fps, options=options)
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = pixels
            self._stream.codec_context.time_base = self.time_base
            self._stream.codec_context.sample_aspect_ratio = self.pixel_aspect_ratio
            self._container.start_encoding()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if self._container is not None:
                with suppress(Exception):
                    self._container.close()
            raise OSError(
                f'video {self.path} cannot be written: {reason_of(error)} ({width}x{height} pixels '
                f'as {codec}; to write no video, leave vis_out_dir out, or give --no-video)'
            ) from error
        self._thread = threading.Thread(target=self._work, daemon=True, name='video')
        self._thread.start()

    def _work(self) -> None:
        # Keep draining the queue after an error, otherwise write() would block forever.
        while (entry := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    self._encode(*entry)
                except Exception as error:
                    self._error = error

    def _encode(self, image: np.ndarray, ticks: int) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='bgr24')
        # The matrix that readers without the file's word assume (OpenCV's, and this package's).
        frame = self._convert(
            frame,
            format=self._stream.pix_fmt,
            src_colorspace=Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
        )
        frame.pts, frame.time_base = ticks, self.time_base
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        if shutil.disk_usage(osp.dirname(self.path) or '.').free < MIN_FREE_BYTES:
            raise OSError('No space left on device; make room')

    def _raise_error(self) -> None:
        if self._error is not None:
            raise OSError(
                f'cannot write video {self.path}: {reason_of(self._error)}'
            ) from self._error

    def close(self) -> None:
        """Wait for the frames that are out, and complete the file.

        Raises:
            OSError: It could not be written whole.
        """
        if self._container is None:
            return
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join()
        container, self._container = self._container, None
        try:
            if self._error is None:
                for packet in self._stream.encode():
                    container.mux(packet)
            container.close()
        except (av.error.FFmpegError, OSError) as error:
            self._error = self._error or error
        if self._error is not None:
            raise OSError(
                f'video {self.path} is incomplete: {reason_of(self._error)}'
            ) from self._error


def _fitted(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    ratio = min(width / frame.shape[1], height / frame.shape[0])
    small = cv2.resize(
        frame,
        (max(round(frame.shape[1] * ratio), 1), max(round(frame.shape[0] * ratio), 1)),
        interpolation=cv2.INTER_AREA,
    )
    fitted = np.zeros((height, width, 3), np.uint8)
    fitted[: small.shape[0], : small.shape[1]] = small[:height, :width]
    return fitted
