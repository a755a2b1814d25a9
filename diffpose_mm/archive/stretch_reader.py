"""Frames of a video from one number to another, as a reader of the whole video gives them."""

import hashlib
from collections.abc import Generator, Iterator

import numpy as np

from ..video_reader import VideoFrame, VideoReader
from .plan import Plan


class NotExactError(Exception):
    """A video that was entered in its middle is not what it is from its start."""


class EnteredVideo(VideoReader):
    """A video from a keyframe on; damage is an error, since gaps are counted from the start.

    Args:
        plan: Of the video.
        number: The frame to begin at, or before.

    Raises:
        NotExactError: Also while it is iterated over: the frames are not those that the packets
            tell of.
    """

    def __init__(self, plan: Plan, number: int) -> None:
        self._entrance = plan.entrance(number)
        self._known = {pts: rank for rank, pts, _ in plan.keyframes}
        try:
            super().__init__(plan.entry.path)
        except ValueError as error:
            raise NotExactError(str(error)) from error

    def _decode(self) -> Iterator[VideoFrame]:
        number, first, dts = self._entrance
        self._container.seek(dts, stream=self._video, backward=True)
        entered = False
        for packet in self._packets():
            try:
                frames = self._video.decode(packet)
            except Exception as error:
                raise NotExactError(f'damaged near frame {number}') from error
            for frame in frames:
                if not entered:
                    # Frames shown before the keyframe may refer to what was not decoded.
                    if frame.pts is None or frame.pts > first:
                        raise NotExactError(f'the keyframe {number} was not found')
                    if frame.pts < first:
                        continue
                    entered = True
                if self._known.get(frame.pts, number) != number:
                    raise NotExactError(f'frame {number} is another one from the start')
                yield VideoFrame(number, self._orient(frame), self._seconds(frame.pts))
                number += 1
        if self._errors:
            raise NotExactError(f'damaged: {self._errors[-1]}')


def read_frames(plan: Plan, first: int, end: int | None) -> Generator[VideoFrame, None, None]:
    """Frames ``first`` to before ``end`` (None: to the last), gaps included.

    Raises:
        NotExactError: Entered in its middle, the video is not what it is from its start; read it
            with ``plan.from_start`` set.
        ValueError, OSError: It cannot be read.
    """
    entered = bool(plan.keyframes) and not plan.from_start and plan.entrance(first)[0] > 0
    reader = EnteredVideo(plan, first) if entered else VideoReader(plan.entry.path)
    last = -1
    try:
        for frame in reader:
            if end is not None and frame.number >= end:
                return
            if frame.fault is not None and not plan.from_start:
                raise NotExactError(f'frame {frame.number} is {frame.fault}')
            last = frame.number
            if frame.number >= first:
                yield frame
        if not plan.from_start and last + 1 < plan.end:
            raise NotExactError(f'it ends after {last + 1} of {plan.end} frames')
    finally:
        reader.close()


def picture_digest(image: np.ndarray | None) -> str:
    """What tells a picture from another; of a gap ''."""
    if image is None:
        return ''
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).hexdigest()
