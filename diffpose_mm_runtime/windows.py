"""Frames to clips, one at a time: the one place where a video becomes windows (paper section 3).

Offline and causal inference share it. What differs is what a window may see: offline it waits for
the frames after the keyframe, causal it does not. Where a frame is not available (at the ends of a
video, where it is damaged or of another size, and always after a causal keyframe) the nearest
available one replaces it, marked as ``clip_replicated`` marks it in the data sets.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .clip import check_frame_offsets, nearest
from .people import Person

MODES = ('offline', 'causal')


@dataclass
class Frame:
    """A frame, and what the stages of a run have found out about it.

    Attributes:
        index: Its number in the input.
        name: Its path, or the name that mmpose gives it.
        image: HxWx3 uint8 BGR, or the path of one, or None where it cannot be read.
        time: Seconds from the start, or None.
        fault: Why there is no image, else None.
        people: Given, detected or restored.
        saved: Its entry in the log of an interrupted run.
    """

    index: int
    name: str
    image: np.ndarray | str | None
    time: float | None = None
    fault: str | None = None
    people: list[Person] = field(default_factory=list)
    saved: dict | None = None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """That of the image; only frames of one shape go into a clip together."""
        return getattr(self.image, 'shape', None)


@dataclass(frozen=True)
class Window:
    """The clip around one keyframe.

    Attributes:
        frames: T frames, oldest first.
        replicated: Which of the T replace a frame that is not available.
        keyframe_index: The keyframe's place among the T.
    """

    frames: tuple[Frame, ...]
    replicated: tuple[bool, ...]
    keyframe_index: int

    @property
    def frame(self) -> Frame:
        """The keyframe."""
        return self.frames[self.keyframe_index]

    @property
    def frame_id(self) -> int:
        """The keyframe's number in the input."""
        return self.frame.index

    @property
    def frame_ids(self) -> tuple[int, ...]:
        """The T numbers of the frames in the input."""
        return tuple(frame.index for frame in self.frames)

    def box_of(self, track_id: int | None, index: int) -> np.ndarray | None:
        """The (4,) box of a track in frame ``index`` of the input, if it is in this window."""
        if track_id is not None:
            for frame in self.frames:
                if frame.index == index:
                    for person in frame.people:
                        if person.track_id == track_id:
                            return person.box
        return None

    def results(self) -> dict:
        """The clip as a pipeline that starts with LoadClip reads it."""
        image = self.frame.image
        if isinstance(image, str):
            clip: dict = dict(img_path=image, clip_paths=[frame.image for frame in self.frames])
        else:
            clip = dict(img=[frame.image for frame in self.frames])
        clip.update(
            keyframe_index=self.keyframe_index,
            clip_replicated=list(self.replicated),
            frame_offsets=tuple(i - self.frame.index for i in self.frame_ids),
        )
        return clip


class FrameWindows:
    """A sliding window that is fed with frames and gives clips.

    It holds no more frames than the window spans.

    Args:
        offsets (Sequence[int]): Frames relative to the keyframe; brought into temporal order.
        mode (str): 'offline' or 'causal'. Defaults to 'offline'.

    Raises:
        ValueError: An unknown mode; offsets that repeat themselves or leave out the keyframe.
    """

    def __init__(self, offsets: Sequence[int], mode: str = 'offline') -> None:
        check_mode(mode)
        self.offsets = check_frame_offsets(tuple(offsets))
        self.mode = mode
        self.keyframe_index = self.offsets.index(0)
        self.look_ahead = self.offsets[-1] if mode == 'offline' else 0
        self._span = self.look_ahead - self.offsets[0] + 1
        self._buffer: deque[Frame] = deque()
        self._waiting: deque[Frame] = deque()  # keyframes whose windows are not complete

    def push(self, frame: Frame) -> list[Window]:
        """Add the next frame; returns the windows that are complete with it.

        Numbers rise; where they jump, the frames between are not available.

        Raises:
            ValueError: A number that does not rise.
        """
        if self._buffer and frame.index <= self._buffer[-1].index:
            raise ValueError(
                f'frame {frame.index} comes after frame {self._buffer[-1].index}: the numbers of '
                'frames have to rise'
            )
        if self.mode == 'offline':
            # What lies farther ahead than a window looks is not seen by those before.
            windows = self._complete(frame.index - 1 - self.look_ahead)
        else:
            windows = []
        self._buffer.append(frame)
        self._waiting.append(frame)
        windows += self._complete(frame.index - self.look_ahead)
        return windows

    def flush(self) -> list[Window]:
        """The windows that are left when no more frame comes."""
        return self._complete(None)

    def _complete(self, last: int | None) -> list[Window]:
        windows = []
        while self._waiting and (last is None or self._waiting[0].index <= last):
            keyframe = self._waiting.popleft()
            windows.append(self._window(keyframe))
            # The next keyframe comes later; its window begins later, too.
            oldest = keyframe.index + 1 + self.offsets[0]
            while self._buffer and self._buffer[0].index < oldest:
                self._buffer.popleft()
        return windows

    def _window(self, keyframe: Frame) -> Window:
        usable = {
            frame.index: frame
            for frame in self._buffer
            if frame is keyframe
            or (frame.shape == keyframe.shape and (frame.fault is None) == (keyframe.fault is None))
        }
        if self.mode == 'causal':
            usable = {i: frame for i, frame in usable.items() if i <= keyframe.index}
        requested = [keyframe.index + offset for offset in self.offsets]
        used = [nearest(number, usable, keyframe.index) for number in requested]
        return Window(
            frames=tuple(usable[number] for number in used),
            replicated=tuple(a != b for a, b in zip(used, requested)),
            keyframe_index=self.keyframe_index,
        )


def check_mode(mode: str) -> None:
    """Raise ValueError unless ``mode`` is one of ``MODES``."""
    if mode not in MODES:
        raise ValueError(f'mode={mode!r} has to be one of {MODES}')


def iterate_windows(
    frames: Iterable[Any], offsets: Sequence[int], mode: str = 'offline'
) -> Iterator[Window]:
    """The windows of all frames, in order, each as soon as it is complete.

    Args:
        frames: Frames, or images (arrays or paths), which are numbered from 0.
        offsets, mode: As in :class:`FrameWindows`.
    """
    windows = FrameWindows(offsets, mode)
    for index, frame in enumerate(frames):
        yield from windows.push(as_frame(frame, index))
    yield from windows.flush()


def still_window(frame: Any, offsets: Sequence[int]) -> Window:
    """The window of a single picture (a frame, an array or a path): T times itself."""
    keyframe = as_frame(frame, 0)
    places = check_frame_offsets(tuple(offsets))
    return Window((keyframe,) * len(places), tuple(o != 0 for o in places), places.index(0))


def as_frame(image: Any, index: int) -> Frame:
    """A frame as it is; an array or a path as frame ``index``."""
    if isinstance(image, Frame):
        return image
    return Frame(index, image if isinstance(image, str) else f'{index:06d}.jpg', image)
