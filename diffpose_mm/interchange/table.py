"""Poses of a video as a neutral table, which every format is read into and written from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..keypoint_sets import find_keypoint_set, keypoint_set, places_in

NO_TRACK = -1
"""Number of a pose whose person has none."""
UNEVEN = 1e-3
"""Seconds by which a time may lie beside ``frame / fps`` and be that of an even rate."""


@dataclass
class PoseTable:
    """The poses of a video: F frames, P poses in all, K keypoints.

    All coordinates are pixels of the image as shown, x to the right, y down. What is not known is
    NaN, never 0. Poses are in the order of their frames, and of the file within a frame.

    Attributes:
        keypoints: K names.
        frames: (F,) int, numbers of the frames in the video from 0, rising; frames without people
            are among them.
        times: (F,) seconds from the start of the video; NaN where there is no time.
        frame: (P,) int, the number of the frame of each pose.
        track: (P,) int, the number of the person, :data:`NO_TRACK` for none.
        points: (P, K, 2) image pixels.
        scores: (P, K).
        deviations: (P, K, 2) standard deviation of x and y, image pixels.
        boxes: (P, 4) x1, y1, x2, y2, image pixels.
        box_scores: (P,).
        skeleton: Pairs of places in ``keypoints``.
        image_size: Width and height of a frame, or None.
        frame_sizes: Number of a frame to its size where it differs from ``image_size``.
        fps: Frames a second on average, or None.
        absent: Names among ``keypoints`` that the model does not have.
        faults: Number of a frame to why it could not be read.
        input: What the poses are of: ``name`` and perhaps ``digest`` of the file.
        smoothing: How the poses were smoothed, as inference says it; empty if they were not.
        left_out: What the file had and a table does not hold.

    Raises:
        ValueError: Arrays that do not fit each other, bones of keypoints that are not there, frames
            or times that do not rise, or one person twice in a frame.
    """

    keypoints: tuple[str, ...]
    frames: np.ndarray
    times: np.ndarray
    frame: np.ndarray
    track: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    deviations: np.ndarray
    boxes: np.ndarray
    box_scores: np.ndarray
    skeleton: tuple[tuple[int, int], ...] = ()
    image_size: tuple[int, int] | None = None
    frame_sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    fps: float | None = None
    absent: tuple[str, ...] = ()
    faults: dict[int, str] = field(default_factory=dict)
    input: dict[str, Any] = field(default_factory=dict)
    smoothing: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.keypoints = tuple(self.keypoints)
        if len(set(self.keypoints)) < len(self.keypoints):
            twice = sorted({n for n in self.keypoints if self.keypoints.count(n) > 1})
            raise ValueError(f'keypoints: {", ".join(twice)} come twice')
        poses, joints = len(self.frame), len(self.keypoints)
        shapes = dict(
            times=(len(self.frames),),
            track=(poses,),
            points=(poses, joints, 2),
            scores=(poses, joints),
            deviations=(poses, joints, 2),
            boxes=(poses, 4),
            box_scores=(poses,),
        )
        for name, shape in shapes.items():
            found = np.shape(getattr(self, name))
            if found != shape:
                raise ValueError(f'{name} has the shape {found}, not {shape}')
        for bone in self.skeleton:
            if not all(0 <= end < joints for end in bone):
                raise ValueError(f'skeleton: {list(bone)} is no pair of places in the keypoints')
        _check_rising('frame', self.frames, self.frames)
        _check_rising('time', self.times, self.frames)
        if (np.diff(self.frame) < 0).any():
            raise ValueError('the poses are not in the order of their frames')
        unlisted = np.setdiff1d(self.frame, self.frames)
        if len(unlisted):
            raise ValueError(f'frame {unlisted[0]} has poses and is not among the frames')
        known = self.track != NO_TRACK
        pairs = np.stack([self.frame[known], self.track[known]], 1)
        found, counts = np.unique(pairs, axis=0, return_counts=True)
        if (counts > 1).any():
            number, track = found[counts > 1][0]
            raise ValueError(f'frame {number} has track {track} {counts.max()} times')

    def __len__(self) -> int:
        """P, the number of poses."""
        return len(self.frame)

    @property
    def tracks(self) -> np.ndarray:
        """Numbers of the people, rising; :data:`NO_TRACK` is not among them."""
        return np.unique(self.track[self.track != NO_TRACK])

    @property
    def is_tracked(self) -> bool:
        """Whether every pose has the number of a person."""
        return bool((self.track != NO_TRACK).all())

    @property
    def has_times(self) -> bool:
        """Whether every frame has a time."""
        return bool(len(self.frames) and np.isfinite(self.times).all())

    @property
    def num_frames(self) -> int:
        """Frames from number 0 to the last, whether they are in the table or not."""
        return int(self.frames[-1]) + 1 if len(self.frames) else 0

    @property
    def even_rate(self) -> bool:
        """Whether frame number over ``fps`` is the time of every frame."""
        if self.fps is None or not self.has_times:
            return not np.isfinite(self.times).any()
        return bool((np.abs(self.times - self.frames / self.fps) <= UNEVEN).all())

    @property
    def present(self) -> np.ndarray:
        """(P, K) whether a keypoint has a place."""
        return np.isfinite(self.points).all(2)

    def present_of(self, pose: int) -> np.ndarray:
        """(K,) whether a keypoint of one pose has a place; :attr:`present` looks at all poses."""
        return np.isfinite(self.points[pose]).all(1)

    def size_of(self, frame: int) -> tuple[int, int] | None:
        """Width and height of a frame, pixels; None if the file does not say it."""
        return self.frame_sizes.get(int(frame), self.image_size)

    def time_of(self, frame: int) -> float | None:
        """Seconds from the start of the video; None where there is no time."""
        place = int(np.searchsorted(self.frames, frame))
        if place == len(self.frames) or self.frames[place] != frame:
            return None
        return None if np.isnan(self.times[place]) else float(self.times[place])

    def by_frame(self) -> Iterator[tuple[int, np.ndarray]]:
        """Every frame of the table: its number, and the places of its poses."""
        starts = np.searchsorted(self.frame, self.frames, 'left')
        ends = np.searchsorted(self.frame, self.frames, 'right')
        for number, start, end in zip(self.frames.tolist(), starts, ends):
            yield number, np.arange(start, end)

    def by_track(self) -> Iterator[tuple[int, np.ndarray]]:
        """Every person: the number, and the places of the poses, in the order of frames."""
        for number in self.tracks.tolist():
            yield number, np.flatnonzero(self.track == number)

    def box_of(self, pose: int) -> np.ndarray:
        """(4,) x1, y1, x2, y2: the box of a pose, else that around its keypoints, or NaN."""
        if np.isfinite(self.boxes[pose]).all():
            return self.boxes[pose]
        found = self.points[pose][self.present_of(pose)]
        return np.concatenate([found.min(0), found.max(0)]) if len(found) else np.full(4, np.nan)

    def pose_score(self, pose: int) -> float:
        """What a pose is ranked by: mean score of the keypoints that are there, times the box's.

        Boxes that were given by hand all have score 1 and would rank nothing. 0 without scores.
        """
        scores = self.scores[pose][self.present_of(pose)]
        scores = scores[np.isfinite(scores)]
        box = self.box_scores[pose]
        mean = float(scores.mean()) if len(scores) else 0.0
        return mean * (float(box) if np.isfinite(box) else 1.0)

    def with_all_tracks(self) -> PoseTable:
        """The same poses, all with a number.

        A pose without one gets, by its place among those of its frame, a number above all others.
        """
        if self.is_tracked:
            return self
        track, first = self.track.copy(), int(self.track.max(initial=NO_TRACK)) + 1
        for _, poses in self.by_frame():
            without = poses[track[poses] == NO_TRACK]
            track[without] = first + np.arange(len(without))
        return replace(self, track=track)

    def in_set(self, name: str) -> PoseTable:
        """The poses in a named set of keypoints; what they do not have is NaN and ``absent``.

        Args:
            name: One of ``KEYPOINT_SETS``.

        Raises:
            ValueError: No keypoint is shared, or there is no such set.
        """
        target = keypoint_set(name)
        places = places_in(self.keypoints, target.keypoints)
        gone = np.array([i < 0 or self.keypoints[i] in self.absent for i in places])
        if gone.all():
            raise ValueError(f'none of the keypoints {", ".join(self.keypoints)} is in {name}')

        def taken(values: np.ndarray) -> np.ndarray:
            chosen = values[:, places].copy()
            chosen[:, gone] = np.nan
            return chosen

        return replace(
            self,
            keypoints=target.keypoints,
            skeleton=tuple((a, b) for a, b in target.skeleton),
            points=taken(self.points),
            scores=taken(self.scores),
            deviations=taken(self.deviations),
            absent=tuple(n for n, g in zip(target.keypoints, gone) if g),
        )

    @property
    def set_name(self) -> str | None:
        """Name of the set that has exactly these keypoints."""
        found = find_keypoint_set(self.keypoints)
        return None if found is None else found.name


def _check_rising(what: str, values: np.ndarray, frames: np.ndarray) -> None:
    known = np.isfinite(values)
    values, frames = np.asarray(values)[known], np.asarray(frames)[known]
    wrong = np.flatnonzero(np.diff(values) <= 0)
    if len(wrong):
        i = wrong[0]
        where, advice = '', ''
        if what == 'time':
            where, advice = f' of frame {frames[i + 1]}', ', or to be left out of the file'
        raise ValueError(
            f'{what} {values[i + 1]:g}{where} comes after {what} {values[i]:g}: they have to rise'
            f'{advice}'
        )


class TableBuilder:
    """Collects poses one by one, in the order of frames, and makes the table of them.

    Args:
        keypoints: K names.
    """

    def __init__(self, keypoints: Sequence[str]) -> None:
        self.keypoints = tuple(keypoints)
        self.frames: list[int] = []
        self.times: list[float] = []
        self._rows: list[tuple] = []

    def add_frame(self, number: int, time: float | None = None) -> None:
        """A frame, with people or without.

        Args:
            number: From 0.
            time: Seconds from the start of the video.
        """
        self.frames.append(int(number))
        self.times.append(np.nan if time is None else float(time))

    def add_pose(
        self,
        points: Any,
        scores: Any = None,
        track: int | None = None,
        deviations: Any = None,
        box: Any = None,
        box_score: float | None = None,
    ) -> None:
        """A pose of the frame that was added last; see :class:`PoseTable` for shapes and units.

        Raises:
            ValueError: A value that does not have as many numbers as there are keypoints.
        """
        joints = len(self.keypoints)
        values = (
            _filled('keypoints', points, (joints, 2)),
            _filled('scores', scores, (joints,)),
            _filled('deviations', deviations, (joints, 2)),
            _filled('box', box, (4,)),
        )
        number = NO_TRACK if track is None else int(track)
        score = np.nan if box_score is None else float(box_score)
        self._rows.append((self.frames[-1], number, *values, score))

    def never_there(self) -> tuple[str, ...]:
        """Keypoints that a known set never has labels of, and that no pose has either."""
        known = find_keypoint_set(self.keypoints)
        there = [np.isfinite(row[2]).all(1) for row in self._rows]
        seen = np.any(there, axis=0) if there else np.zeros(len(self.keypoints), bool)
        names = () if known is None else known.never_labelled
        return tuple(name for name in names if not seen[self.keypoints.index(name)])

    def table(self, **fields: Any) -> PoseTable:
        """The table.

        Args:
            fields: The other attributes of :class:`PoseTable`.

        Raises:
            ValueError: See there.
        """
        joints = len(self.keypoints)
        empty = ((), (), (joints, 2), (joints,), (joints, 2), (4,), ())
        columns = zip(*self._rows) if self._rows else ((),) * len(empty)
        kinds = (np.int64, np.int64, *[np.float64] * 5)
        frame, track, points, scores, deviations, boxes, box_scores = (
            np.array(column, kind).reshape(len(self._rows), *shape)
            for column, kind, shape in zip(columns, kinds, empty)
        )
        return PoseTable(
            keypoints=self.keypoints,
            frames=np.array(self.frames, np.int64),
            times=np.array(self.times, np.float64),
            frame=frame,
            track=track,
            points=points,
            scores=scores,
            deviations=deviations,
            boxes=boxes,
            box_scores=box_scores,
            **fields,
        )


def _filled(what: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    if values is None:
        return np.full(shape, np.nan)
    array = np.array(values, np.float64)
    if array.size != np.prod(shape):
        raise ValueError(f'{what} has {array.size} numbers, not {np.prod(shape)}')
    return array.reshape(shape)
