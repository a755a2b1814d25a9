"""What is known of a video before work: frames, size, duration, content, where it can be entered.

Entering a video in its middle is exact where every packet has a time of its own: the number of a
frame is then the rank of its time, and decoding may begin at any keyframe. All other videos (AVI,
raw streams, damaged files) are decoded from their start for each stretch.
"""

import bisect
import os
from dataclasses import asdict, dataclass, field
from typing import Any

import av

from ..files import reason_of
from ..identity import file_identity
from ..video_reader import VideoReader
from .manifest import Entry

KEYFRAME_SPACING = 64
"""Keyframes closer than this are not all kept: a video of keyframes alone has one a frame."""
LEAST = 128
"""Frames of a stretch from which on the first two of a video are a 16th of it: then finding and
posing have both been measured early, for the time that is left."""
MAX_STRETCHES_FROM_START = 8
"""Of a video that is decoded from its start for each, so that decoding costs at most 4.5 times."""


@dataclass
class Plan:
    """One video, planned.

    Attributes:
        entry: What was asked for.
        first, end: Numbers of the first frame, and after the last; of a video without times of its
            own ``end`` is what the container says, and only a hint.
        fps: Frames a second, or None.
        width, height: Of the first frame, pixels.
        duration: Seconds of what is to be posed, or None.
        pixel_aspect_ratio: Width of a pixel over its height.
        content: Bytes and digest of the file, see :func:`file_identity`.
        from_start: Why the video cannot be entered in its middle, or ''.
        keyframes: (number, pts, dts) of frames that decoding may begin at, rising.
    """

    entry: Entry
    first: int
    end: int
    fps: float | None
    width: int
    height: int
    duration: float | None
    pixel_aspect_ratio: float
    content: dict[str, Any]
    from_start: str = ''
    keyframes: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """How many are to be posed."""
        return self.end - self.first

    def edges(self, length: int, batch_size: int) -> list[int]:
        """First frames of stretches of about ``length`` frames.

        They lie whole batches apart, so that each frame has the same company in the detector as
        without cuts.
        """
        if self.from_start:
            length = max(length, -(-self.frames // MAX_STRETCHES_FROM_START))
        length = -(-max(length, 1) // batch_size) * batch_size
        count = max(1, round(self.frames / length))
        edges = [self.first + k * length for k in range(count)]
        if count > 1 and length >= LEAST and not self.from_start:
            short = -(-max(length // 16, 16) // batch_size) * batch_size
            edges[1:1] = [e for e in (self.first + short, self.first + 2 * short) if e < edges[1]]
        return edges

    def entrance(self, number: int) -> tuple[int, int, int]:
        """The last keyframe at or before a frame."""
        return self.keyframes[bisect.bisect([k[0] for k in self.keyframes], number) - 1]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it, without the entry."""
        fields = asdict(self)
        del fields['entry']
        return fields

    @classmethod
    def from_dict(cls, entry: Entry, fields: dict[str, Any]) -> 'Plan':
        """The inverse of :meth:`to_dict`."""
        return cls(entry, **dict(fields, keyframes=[tuple(k) for k in fields['keyframes']]))


def plan_video(entry: Entry) -> Plan:
    """Look at a video: its first frame is decoded, all its packets and its content are read.

    Raises:
        ValueError: Not a video that can be decoded, or nothing is between start and end.
        OSError: It cannot be read.
    """
    if not os.path.isfile(entry.path):
        raise FileNotFoundError(f'{entry.path} does not exist, or is no file')
    reader = VideoReader(entry.path)
    reader.close()
    times, keyframes, from_start = _packets(entry.path, reader)
    first, end = 0, len(times) if times else reader.count or 0
    if entry.trimmed:
        if from_start:
            times = [frame.time or 0.0 for frame in VideoReader(entry.path)]
        first = bisect.bisect_left(times, entry.start)
        end = bisect.bisect_left(times, entry.end)
        if first >= end:
            raise ValueError(f'{entry.path} has no frame from {entry.start} s to {entry.end} s')
    fps = None if reader.fps is None else float(reader.fps)
    return Plan(
        entry,
        first,
        end,
        fps,
        reader.width,
        reader.height,
        (end - first) / fps if fps else None,
        float(reader.pixel_aspect_ratio),
        file_identity(entry.path),
        from_start,
        keyframes,
    )


def _packets(path: str, reader: VideoReader) -> tuple[list[float], list[tuple[int, int, int]], str]:
    """Times of all frames in seconds, keyframes, and why neither can be relied on, or ''."""
    if not reader.has_times:
        return [], [], 'pictures without times'
    found: list[tuple[int, int, bool]] = []
    open_container: Any = av.open
    try:
        with open_container('file:' + os.path.abspath(path)) as container:
            if container.format.name == 'avi':
                return [], [], 'AVI'
            video = container.streams.best('video')
            start, base = container.start_time or 0, video.time_base
            for packet in container.demux(video):
                if packet.size == 0:
                    continue
                if packet.pts is None or packet.is_discard:
                    return [], [], 'packets without times, or not to be shown'
                if packet.is_corrupt:
                    return [], [], 'damaged packets'
                dts = packet.pts if packet.dts is None else packet.dts
                found.append((packet.pts, dts, packet.is_keyframe))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        return [], [], f'damaged: {reason_of(error)}'
    if not found or not found[0][2]:
        return [], [], 'it does not begin with a keyframe'
    ranks = {pts: rank for rank, pts in enumerate(sorted(pts for pts, _, _ in found))}
    if len(ranks) < len(found):
        return [], [], 'two frames of one time'
    if ranks[found[0][0]] != 0:
        return [], [], 'frames before its first keyframe'
    keyframes: list[tuple[int, int, int]] = []
    for pts, dts, is_keyframe in found:
        if is_keyframe and (not keyframes or ranks[pts] >= keyframes[-1][0] + KEYFRAME_SPACING):
            keyframes.append((ranks[pts], pts, dts))
    return [float(pts * base) - start / av.time_base for pts in ranks], keyframes, ''
