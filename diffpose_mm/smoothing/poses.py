"""Frames of predictions, checked: numbers, times, and who is who over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffpose_mm_runtime.people import Person
from diffpose_mm_runtime.tracking import BoxTracker

from .tracks import Track, person_size

ASSUMED_FPS = 25.0
"""Frames a second where a file has neither times nor a frame rate."""
_UNKNOWN_SIZE = 100.0


@dataclass
class Pose:
    """A person of a frame as arrays, K joints; image pixels.

    Attributes:
        points: (K, 2).
        scores: (K,).
        present: (K,) bool, joints that were found.
        std: (K, 2) or None.
        box: (4,) x1, y1, x2, y2, or None.
        size: See :func:`person_size`.
    """

    points: np.ndarray
    scores: np.ndarray
    present: np.ndarray
    std: np.ndarray | None
    box: np.ndarray | None
    size: float


def read_pose(person: Any, where: str, min_score: float) -> Pose:
    """Read a person of the JSON.

    Args:
        person: Their dict.
        where: What to call them in an error.
        min_score: A joint of this score or less was not found.

    Raises:
        ValueError: A field that is missing or not of its form.
    """
    if not isinstance(person, Mapping):
        raise ValueError(f'{where} is {type(person).__name__}, not an object')
    points = _array(person, 'keypoints', where)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(
            f'{where}: keypoints have shape {points.shape}; K pairs x, y in image pixels are needed'
        )
    scores = _array(person, 'keypoint_scores', where)
    if scores.shape != points.shape[:1]:
        raise ValueError(f'{where}: {scores.size} keypoint_scores for {len(points)} keypoints')
    std = box = None
    if person.get('keypoint_std') is not None:
        std = _array(person, 'keypoint_std', where)
        if std.shape != points.shape:
            raise ValueError(f'{where}: keypoint_std has shape {std.shape}, not {points.shape}')
        if (std < 0).any():
            raise ValueError(f'{where}: keypoint_std has a negative value')
    if person.get('bbox') is not None:
        box = _array(person, 'bbox', where).reshape(-1)
        if box.shape != (4,):
            raise ValueError(f'{where}: bbox has {box.size} numbers; x1, y1, x2, y2 are needed')
    present = np.isfinite(points).all(axis=1) & (scores > min_score)
    # Joints that a model never learned lie anywhere.
    sure = present & (scores >= 0.3 * np.max(scores, where=present, initial=0))
    return Pose(points, scores, present, std, box, person_size(points, sure, box))


def _array(person: Mapping, field: str, where: str) -> np.ndarray:
    try:
        return np.array(person[field], float)
    except KeyError:
        raise ValueError(f'{where} has no {field}') from None
    except (TypeError, ValueError):
        raise ValueError(f'{where}: {field} are not numbers in rows of equal length') from None


def check_frame(entry: Any, place: int, before: int | None) -> int:
    """The number of a frame of the JSON.

    Args:
        entry: The frame.
        place: In the list.
        before: Number of the frame before.

    Raises:
        ValueError: It is no frame, or does not come after the one before.
    """
    if not isinstance(entry, Mapping) or not isinstance(entry.get('instances'), list):
        raise ValueError(
            f'entry {place} is no frame of a video: an object with frame_id and a list of '
            'instances is needed'
        )
    number = entry.get('frame_id')
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f'entry {place} has frame_id {number!r}, which is no whole number')
    if before is not None and number <= before:
        raise ValueError(
            f'entry {place} has frame_id {number}, which does not come after {before}: the frames '
            'have to be those of one video, in order'
        )
    return number


def read_times(entries: Sequence[Mapping], frames: Sequence[int], rate: float) -> np.ndarray:
    """Seconds of each frame; where one has no time, by its number between those around it.

    Args:
        entries: Of the JSON.
        frames: Their numbers.
        rate: Frames a second beyond the first and the last time.

    Raises:
        ValueError: A time that is no number, or does not come after that of the frame before.
    """
    times = np.full(len(entries), np.nan)
    latest, of = -math.inf, None
    for place, entry in enumerate(entries):
        time = entry.get('time')
        if time is None:
            continue
        if not isinstance(time, (int, float)) or isinstance(time, bool) or not math.isfinite(time):
            raise ValueError(f'frame {frames[place]} has time {time!r}, which is no number')
        if time <= latest:
            raise ValueError(
                f'frame {frames[place]} has time {time:g} s, which does not come after '
                f'{latest:g} s of frame {of}'
            )
        latest, of, times[place] = time, frames[place], time
    numbers = np.array(frames, float)
    known = np.isfinite(times)
    if not known.any():
        return numbers / rate
    first, last = numbers[known][[0, -1]]
    filled = np.interp(numbers, numbers[known], times[known])
    return filled + np.minimum(numbers - first, 0) / rate + np.maximum(numbers - last, 0) / rate


class WhoIsWho:
    """Gives the people of one frame after the other the key of their track.

    That is their ``track_id``; people who have none (or a negative one, by which trackers say "not
    yet") are followed by the overlap of their boxes.

    Args:
        max_gap: The most frames in a row for which they may be missing.
    """

    def __init__(self, max_gap: int) -> None:
        self._tracker = BoxTracker(max_gap=max_gap + 1)

    def __call__(self, frame: int, people: Sequence[tuple[Mapping, Pose]]) -> list[tuple]:
        """The keys of the people of the next frame, each its own.

        Raises:
            ValueError: Two have the same number, or one that is none.
        """
        keys: list[tuple] = []
        strangers: dict[int, Person] = {}
        for place, (person, pose) in enumerate(people):
            number = person.get('track_id')
            if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
                raise ValueError(
                    f'person {place} of frame {frame} has track_id {number!r}, no whole number'
                )
            if number is None or number < 0:
                strangers[place] = Person(_box_of(pose), 1.0, None)
                keys.append(('by overlap', 0))
                continue
            if ('track_id', number) in keys:
                raise ValueError(f'frame {frame} has two people with track_id {number}')
            keys.append(('track_id', number))
        self._tracker(list(strangers.values()))
        for place, stranger in strangers.items():
            keys[place] = ('by overlap', stranger.track_id)
        return keys


def _box_of(pose: Pose) -> np.ndarray:
    if pose.box is not None:
        return pose.box
    points = pose.points[pose.present]
    if not len(points):
        return np.zeros(4)
    return np.concatenate([points.min(0), points.max(0)])


def make_track(
    poses: Mapping[int, Pose], frames: np.ndarray, times: np.ndarray, who: str
) -> tuple[Track, slice]:
    """A track of the poses of a person.

    Args:
        poses: Place of the frame in the list -> pose.
        frames: (F,) numbers of all frames.
        times: (F,) seconds.
        who: What to call them in an error.

    Returns:
        The track, and where its frames are among all.

    Raises:
        ValueError: Poses with different numbers of joints.
    """
    places = sorted(poses)
    part = slice(places[0], places[-1] + 1)
    count, joints = part.stop - part.start, len(poses[places[0]].points)
    points = np.full((count, joints, 2), np.nan)
    scores, present = np.zeros((count, joints)), np.zeros((count, joints), bool)
    has_std = all(pose.std is not None for pose in poses.values())
    std = np.full_like(points, np.nan) if has_std else None
    for place, pose in poses.items():
        if len(pose.points) != joints:
            raise ValueError(
                f'{who} has {joints} keypoints in frame {frames[places[0]]} and '
                f'{len(pose.points)} in frame {frames[place]}'
            )
        row = place - part.start
        points[row], scores[row], present[row] = pose.points, pose.scores, pose.present
        if std is not None:
            std[row] = pose.std
    sizes = [pose.size for pose in poses.values() if np.isfinite(pose.size)]
    size = float(np.median(sizes)) if sizes else _UNKNOWN_SIZE
    return Track(frames[part], times[part], points, scores, present, size, std), part


def known_size(size: float) -> float:
    """The size of a person, or one that stands for it where nothing tells it."""
    return size if np.isfinite(size) else _UNKNOWN_SIZE
