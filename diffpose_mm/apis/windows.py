"""Frames to clips, one at a time: the one place where a video becomes windows (paper section 3).

Offline and causal inference share it. What differs is what a window may see: offline it waits for
the frames after the keyframe, causal it does not. Where a frame is not available (at the ends of a
video, and always after a causal keyframe) the nearest available one replaces it, marked as
``clip_replicated`` marks it in the datasets.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.config import ConfigDict

from ..clip import check_frame_offsets
from ..datasets.transforms import LoadClip

MODES = ('offline', 'causal')


@dataclass(frozen=True)
class Window:
    """The clip around one keyframe.

    Attributes:
        frames: T frames, each HxWx3 or the path of one, oldest first.
        frame_ids: Their T numbers in the video.
        replicated: Which of the T replace a frame that is not available.
        keyframe_index: The keyframe's place among the T.
    """

    frames: tuple[Any, ...]
    frame_ids: tuple[int, ...]
    replicated: tuple[bool, ...]
    keyframe_index: int

    @property
    def frame(self) -> Any:
        """The keyframe."""
        return self.frames[self.keyframe_index]

    @property
    def frame_id(self) -> int:
        """The keyframe's number."""
        return self.frame_ids[self.keyframe_index]

    def results(self) -> dict:
        """The clip as a pipeline that starts with LoadClip reads it."""
        if isinstance(self.frame, str):
            clip: dict = dict(img_path=self.frame, clip_paths=list(self.frames))
        else:
            clip = dict(img=list(self.frames))
        clip.update(
            keyframe_index=self.keyframe_index,
            clip_replicated=list(self.replicated),
            frame_offsets=tuple(i - self.frame_id for i in self.frame_ids),
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
        if mode not in MODES:
            raise ValueError(f'mode={mode!r} has to be one of {MODES}')
        self.offsets = check_frame_offsets(tuple(offsets))
        self.mode = mode
        self.keyframe_index = self.offsets.index(0)
        self.look_ahead = self.offsets[-1] if mode == 'offline' else 0
        self._buffer: deque = deque(maxlen=self.look_ahead - self.offsets[0] + 1)
        self._pushed = 0
        self._given = 0

    def push(self, frame: np.ndarray | str) -> list[Window]:
        """Add the next frame; returns the window that is complete with it, if one is."""
        self._buffer.append(frame)
        self._pushed += 1
        return self._give(self._pushed - 1 - self.look_ahead)

    def flush(self) -> list[Window]:
        """The windows that still waited for frames, when there are no more."""
        return self._give(self._pushed - 1)

    def _give(self, last: int) -> list[Window]:
        windows = [self._window(keyframe) for keyframe in range(self._given, last + 1)]
        self._given += len(windows)
        return windows

    def _window(self, keyframe: int) -> Window:
        newest = self._pushed - 1 if self.mode == 'offline' else keyframe
        oldest = self._pushed - len(self._buffer)
        shape = self._shape(keyframe)
        usable = [i for i in range(oldest, newest + 1) if self._shape(i) == shape]
        wanted = [keyframe + offset for offset in self.offsets]
        used = [min(usable, key=lambda i, w=w: (abs(i - w), abs(i - keyframe))) for w in wanted]
        return Window(
            frames=tuple(self._frame(i) for i in used),
            frame_ids=tuple(used),
            replicated=tuple(i != w for i, w in zip(used, wanted)),
            keyframe_index=self.keyframe_index,
        )

    def _frame(self, number: int) -> np.ndarray | str:
        return self._buffer[number - self._pushed]

    def _shape(self, number: int) -> tuple | None:
        return getattr(self._frame(number), 'shape', None)


def iterate_windows(
    frames: Iterable[np.ndarray | str], offsets: Sequence[int], mode: str = 'offline'
) -> Iterator[Window]:
    """The windows of all frames, in order, each as soon as it is complete."""
    windows = FrameWindows(offsets, mode)
    for frame in frames:
        yield from windows.push(frame)
    yield from windows.flush()


def still_window(frame: np.ndarray | str, offsets: Sequence[int]) -> Window:
    """The window of a single picture: T times itself."""
    (window,) = iterate_windows([frame], offsets)
    return window


def loads_clips(pipeline: Any) -> bool:
    """Whether a composed pipeline is one of clips."""
    return any(isinstance(step, LoadClip) for step in getattr(pipeline, 'transforms', ()))


def clip_offsets(cfg: ConfigDict) -> tuple[int, ...]:
    """The offsets that a config's model is tested with, oldest first."""
    offsets = cfg.test_dataloader.dataset.get('frame_offsets')
    if offsets is None:
        length = (cfg.model.get('neck') or {}).get('num_frames', 1)
        offsets = [i - length // 2 for i in range(length)]
    return check_frame_offsets(tuple(offsets))
