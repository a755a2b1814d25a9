"""Videos and network streams, decoded by PyAV: upright, with the right times, beyond damage.

OpenCV's reader turns frames in some releases and not in others, mirrors none, takes a name with a
colon for a protocol, ends at the first damaged packet, and opens a network address as often as it
is asked. So frames are read here, and nowhere else in the package.
"""

import errno
import logging
import os
import os.path as osp
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from mmengine.logging import print_log

from .display_matrix import DisplayMatrix
from .files import reason_of
from .pending_packets import PendingPackets

# Of a stream: seconds to wait for a connection, and for the next packet.
OPEN_TIMEOUT = 10.0
READ_TIMEOUT = 10.0
_MAX_DEMUX_ERRORS = 100


@dataclass(frozen=True)
class VideoFrame:
    """A frame of a video, or the gap where one is damaged.

    Behind a gap, frames up to the next keyframe may show traces of the damage, as in players.

    Attributes:
        number: Its number in the video, counted with the gaps.
        image: HxWx3 uint8 BGR as a player shows it (turned and mirrored), or None for a gap.
        time: Seconds from the start of the video, or None if the file has no times.
        fault: Why there is no image, else None.
    """

    number: int
    image: np.ndarray | None
    time: float | None = None
    fault: str | None = None


def open_container(url: str, **options: Any) -> Any:
    """``av.open``, for which titles in another encoding than UTF-8 are no reason to refuse a video.

    PyAV 19 replaces what it cannot decode by itself, and no longer has the argument.
    """
    opened: Any = av.open
    if int(av.__version__.split('.')[0]) < 19:
        options['metadata_errors'] = 'replace'
    return opened(url, **options)


class VideoReader:
    """The frames of a video file or of a network stream, in order, each once.

    The first frame is decoded at once, so that what is no video is refused here and
    a network camera sees one connection.

    Args:
        source: A file, or an address for FFmpeg.
        is_stream: Whether ``source`` is an address. Defaults to False.
        label: What to call it in messages. Defaults to ``source``.

    Attributes:
        width, height: Of a frame as it is shown, pixels.
        fps: Average frames a second, a fraction, or None if the container has none.
        count: Frames that the container lists or, where it does not, that its duration makes;
            None where it has none. Only a hint.
        time_base: Unit of the container's times in seconds.
        pixel_aspect_ratio: Width of a pixel over its height. Frames are not stretched.
        num_gaps: Damaged frames so far.
        has_times: Whether frames carry times of their own. JPEGs in a row do not, FFmpeg makes
            them up.

    Raises:
        ValueError: Not a video that can be decoded.
        OSError: The address does not answer.
    """

    def __init__(self, source: str | os.PathLike, is_stream: bool = False, label: str = '') -> None:
        self.source = os.fspath(source)
        self.label = label or self.source
        self.is_stream = is_stream
        self.num_gaps = 0
        self._errors: list[str] = []
        self._container = self._open()
        self._frames: Iterator[VideoFrame] = iter(())
        try:
            video = self._container.streams.best('video')
            if video is None:
                raise ValueError(f'{self.label} holds no video (sound only?)')
            if video.codec_context is None:
                raise ValueError(self._not_a_video())
            video.codec_context.thread_type = 'AUTO'
            self._video = video
            self.has_times = 'jpeg' not in self._container.format.name
            self.time_base = Fraction(video.time_base or Fraction(1, 90000))
            self.fps = _rate_of(video)
            indexed = 'mov' in self._container.format.name and len(video.index_entries) > 0
            self._is_indexed = indexed
            self._expected = len(video.index_entries) if indexed else video.frames
            self.count = self._expected or self._estimated_count()
            self.pixel_aspect_ratio = Fraction(1)
            self._orient = DisplayMatrix(self.label)
            self._num_packets = 0
            self._last_time: float | None = None
            self._shift = 0.0
            self._steady = self._missing = 0
            self._missing_at: float | None = None
            # AVI has the order of decoding alone, and FFmpeg's guess at the other is shuffled.
            self._by_dts = self._container.format.name == 'avi'
            self._frames = self._decode()
            # Gaps before the first frame come before it.
            self._ahead: list[VideoFrame] = []
            for frame in self._frames:
                self._ahead.append(frame)
                if frame.image is not None:
                    break
            else:
                raise ValueError(self._not_a_video())
        except BaseException:
            self.close()
            raise
        first = self._ahead[-1].image
        assert first is not None
        self.height, self.width = first.shape[:2]
        # Known from the first decoded frame on, like the rotation.
        ratio = video.sample_aspect_ratio or Fraction(1)
        if ratio > 0:
            self.pixel_aspect_ratio = 1 / ratio if self._orient.transposed else Fraction(ratio)

    def _estimated_count(self) -> int | None:
        duration = self._container.duration
        if self.fps is None or duration is None or duration <= 0:
            return None
        return round(Fraction(duration, av.time_base) * self.fps)

    def _open(self) -> Any:
        options = {'rtsp_flags': 'prefer_tcp'} if self.source.startswith('rtsp') else {}
        # A file is never an address, whatever its name looks like.
        url = self.source if self.is_stream else 'file:' + osp.abspath(self.source)
        timeout = (OPEN_TIMEOUT, READ_TIMEOUT) if self.is_stream else None
        try:
            return open_container(url, options=options, timeout=timeout)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if self.is_stream:
                raise OSError(f'{self.label} cannot be opened: {reason_of(error)}') from error
            if isinstance(error, (PermissionError, FileNotFoundError)):
                raise type(error)(f'video {self.label}: {error.strerror}') from error
            raise ValueError(self._not_a_video()) from error

    def _not_a_video(self) -> str:
        if self.is_stream:
            return f'{self.label} gave no frame that can be decoded'
        return (
            f'{self.label} ({osp.getsize(self.source):,} bytes) is not an image or video that can '
            'be decoded: it is of another kind than its name says, of an unknown codec, or cut '
            'short (before its first frame, or an mp4 without the index at its end)'
        )

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames.

        Raises:
            OSError: The connection was lost.
        """
        try:
            while self._ahead:
                yield self._ahead.pop(0)
            yield from self._frames
        finally:
            self.close()

    def close(self) -> None:
        """End the connection, close the file."""
        close = getattr(self._frames, 'close', None)
        if close is not None:
            with suppress(ValueError):  # another thread is in it
                close()
        self._container.close()

    def _packets(self) -> Iterator[Any]:
        """All packets; damage between them is passed over, a lost connection is not.

        None stands for an end at which FFmpeg does not say itself that the decoder is to be
        emptied.
        """
        errors, cut = 0, False
        while True:
            try:
                for packet in self._container.demux(self._video):
                    # A JPEG that is cut short would be decoded without a word, and end in grey.
                    cut = packet.is_corrupt and self._video.codec_context.name == 'mjpeg'
                    if not cut:
                        yield packet
                    errors = 0
                if cut and self.is_stream:
                    raise OSError(f'{self.label} was lost in the middle of a frame')
                return
            except (av.error.InvalidDataError, av.error.ArgumentError) as error:
                errors += 1
                self._note(error)
                if errors > _MAX_DEMUX_ERRORS:
                    return
            except (av.error.FFmpegError, OSError) as error:
                if not self.is_stream:
                    self._note(error)
                    return
                # An end without a word of HTTP is an I/O error for FFmpeg.
                if not cut and getattr(error, 'errno', None) == errno.EIO:
                    yield None
                    return
                if isinstance(error, av.error.ExitError):
                    raise OSError(
                        f'{self.label} was lost: no data for {READ_TIMEOUT:g} s'
                    ) from error
                raise OSError(f'{self.label} was lost: {reason_of(error)}') from error

    def _decode(self) -> Iterator[VideoFrame]:
        number, pending, last = 0, PendingPackets(), None
        given_up: set[int | None] = set()  # times of gaps; None never is
        # Where no index lists the frames, they count from the first keyframe on.
        started = self._is_indexed
        damaged = False  # since an error, and until the next keyframe
        for packet in self._packets():
            if packet is not None and packet.size > 0:
                started = started or packet.is_keyframe
                damaged = damaged and not packet.is_keyframe
                self._num_packets += 1
                if started and not packet.is_discard and not self._by_dts:
                    pending.add(packet.pts, damaged)
            try:
                frames = self._video.decode(packet)
            except (av.error.FFmpegError, OSError) as error:
                frames = []
                self._note(error)
                if started:
                    damaged = True
                    pending.suspect_all()
            for frame in frames:
                started = True
                pts = frame.dts if self._by_dts else frame.pts
                if pts in given_up:
                    # A late frame, whose place has been a gap; players drop it, too.
                    continue
                for lost in pending.before(pts):
                    given_up |= {lost} - {None}
                    yield self._gap(number, lost)
                    number += 1
                last = pts if pts is not None else last
                yield VideoFrame(number, self._orient(frame), self._time_of(pts))
                number += 1
        # An error in the last packets is told by nobody. Half a frame later is a second field.
        if last is not None and self.fps is not None:
            pending.suspect_after(last + 0.75 / float(self.fps * self.time_base))
        for lost in pending.before(None):
            yield self._gap(number, lost)
            number += 1
        self._tell_end(number)

    def _gap(self, number: int, pts: int | None) -> VideoFrame:
        self.num_gaps += 1
        return VideoFrame(number, None, self._time_of(pts), f'damaged ({self._why})')

    def _time_of(self, pts: int | None) -> float | None:
        """Seconds of the next frame; they rise even where the clock of the file begins anew."""
        seconds = self._seconds(pts)
        if seconds is None:
            # The last frames of an AVI come out of the decoder without a time.
            if self._last_time is not None and self.fps is not None:
                self._last_time += float(1 / self.fps)
            return self._last_time
        frame = 1e-3 if self.fps is None else float(1 / self.fps)
        last, seconds = self._last_time, seconds + self._shift
        if last is not None:
            if seconds <= last:
                self._shift += last + frame - seconds
                seconds = last + frame
            step = seconds - last
            if self._steady >= 20 and step > 1.5 * frame:
                self._missing += round(step / frame) - 1
                self._missing_at = self._missing_at or last
            self._steady = self._steady + 1 if abs(step - frame) < 0.2 * frame else 0
        self._last_time = seconds
        return seconds

    @property
    def _why(self) -> str:
        return self._errors[-1] if self._errors else 'cannot be decoded'

    def _seconds(self, pts: int | None) -> float | None:
        if pts is None:
            return None
        # What players show as 0 is where the first of the file's streams begins.
        start = self._container.start_time or 0
        return float(pts * self.time_base - Fraction(start, av.time_base))

    def _note(self, error: Exception) -> None:
        self._errors.append(reason_of(error))

    def _tell_end(self, number: int) -> None:
        """Warn if frames are damaged, or if the file ends before its own index does."""
        if self.num_gaps:
            _warn(
                f'video {self.label}: {self.num_gaps} of {number} frames are damaged and are '
                f'gaps in the results ({self._why})'
            )
        missing = self._expected - self._num_packets
        if self._is_indexed and missing > 0:
            _warn(
                f'video {self.label} ends after {number} of the {number + missing} frames that it '
                'announces: it is cut short or damaged; what was readable is used'
            )
            return
        announced, last = self._announced_end(), self._last_time
        frame = 0.0 if self.fps is None else float(1 / self.fps)
        if announced is not None and last is not None and not self._is_indexed:
            # A tag of Matroska counts the last frame, which may be shown for long.
            tolerated = 2.5 * frame if self._expected else max(1.0, 2.5 * frame)
            if announced - last > tolerated + 0.02 * announced:
                _warn(
                    f'video {self.label} ends at {last:.1f} s of the {announced:.1f} s that it '
                    'announces: it is cut short or damaged; what was readable is used'
                )
                return
        if self._missing and not self.is_stream:
            _warn(
                f'video {self.label}: times jump over about {self._missing} frames, first at '
                f'{self._missing_at:.2f} s: it is damaged there, or was recorded with pauses. The '
                'frames are numbered without them'
            )

    def _announced_end(self) -> float | None:
        """Seconds from the start at which the video stream alone should end."""
        duration = _duration_of(self._video)
        if duration is not None:
            return duration - (self._container.start_time or 0) / av.time_base
        if self._expected and self.fps is not None:
            return float(self._expected / self.fps)
        return None


def _rate_of(video: Any) -> Fraction | None:
    for rate in (video.average_rate, video.guessed_rate, video.base_rate):
        if rate is not None and 0 < rate < 10_000:
            return Fraction(rate)
    return None


def _duration_of(video: Any) -> float | None:
    """Seconds of the video stream alone, where a Matroska file states them."""
    try:
        tag = video.metadata.get('DURATION', '')
    except UnicodeDecodeError:  # of PyAV 19, for any of the tags
        tag = ''
    match = re.fullmatch(r'(\d+):(\d+):(\d+(?:\.\d+)?)', tag)
    if match is None:
        return None
    hours, minutes, seconds = (float(part) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)
