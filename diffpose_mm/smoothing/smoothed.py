"""Predictions in, smoothed predictions out: the list of frames that inference writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..version import __version__
from .one_euro import OneEuro, OneEuroState
from .poses import (
    ASSUMED_FPS,
    Pose,
    WhoIsWho,
    check_frame,
    known_size,
    make_track,
    read_pose,
    read_times,
)
from .rts import RTS
from .tracks import find_runs

METHODS = {'rts': RTS, 'one-euro': OneEuro}
"""Name -> settings."""
MAX_GAP = 5
"""Frames in a row that are bridged."""
_OF_THE_RAW_POSE = ('hypotheses', 'hypothesis_scores')


def smooth_predictions(
    predictions: Sequence[Mapping] | Mapping[str, Any],
    method: str = 'rts',
    settings: RTS | OneEuro | None = None,
    max_gap: int = MAX_GAP,
    fps: float | None = None,
    min_score: float = 0.0,
    advance: Callable[[], None] = lambda: None,
) -> Any:
    """Smooth the joints of each person over time; docs/smoothing.md has what comes out.

    Args:
        predictions: Frames as ``infer`` and mmpose write them, image pixels and seconds, or
            mmpose's object with ``instance_info``. Stays as it is.
        method: 'rts', which looks at the whole track and bridges gaps, or 'one-euro', which looks
            at the frames before alone and fills nothing.
        settings: Of the method. Defaults to its own.
        max_gap: The most frames in a row, by frame number, that are bridged. A longer gap splits a
            track, and nothing is carried over it.
        fps: Frames a second where frames have no ``time``. Defaults to ``meta.fps``, else 25.
        min_score: A joint of this score or less counts as not found.
        advance: Called once a frame: of each track ('rts'), or of all ('one-euro').

    Returns:
        What was given, smoothed; the first frame's ``run.smoothing`` says how.

    Raises:
        ValueError: An option out of range; a frame, person or field that cannot be used, by name.
    """
    smoother = check_options(method, settings, max_gap, fps, min_score)
    if isinstance(predictions, Mapping):
        if not isinstance(predictions.get('instance_info'), list):
            raise ValueError('an object without instance_info: a list of frames is needed')
        frames = smooth_predictions(
            predictions['instance_info'], method, smoother, max_gap, fps, min_score, advance
        )
        return {**predictions, 'instance_info': frames}
    if not isinstance(predictions, Sequence) or isinstance(predictions, str):
        raise ValueError(f'{type(predictions).__name__} in place of a list of frames')
    numbers: list[int] = []
    for place, entry in enumerate(predictions):
        numbers.append(check_frame(entry, place, numbers[-1] if numbers else None))
    if not numbers:
        raise ValueError('no frames')
    first = predictions[0]
    check_raw(first)
    rate = fps or rate_of(first) or ASSUMED_FPS
    times = read_times(predictions, numbers, rate)
    timed = any(entry.get('time') is not None for entry in predictions)
    out = [dict(entry) for entry in predictions]
    done: dict[str, Any] = describe(method, smoother, max_gap, min_score)
    done['times'] = 'of the file' if timed else f'{rate:g} frames a second'
    if isinstance(smoother, OneEuro):
        causal = CausalSmoother(smoother, max_gap, min_score)
        for place, entry in enumerate(predictions):
            out[place]['instances'] = causal.people(numbers[place], times[place], entry)
            advance()
    else:
        done |= _smooth_tracks(out, np.array(numbers), times, smoother, max_gap, min_score, advance)
    run = first.get('run')
    out[0]['run'] = {**(run if isinstance(run, Mapping) else {}), 'smoothing': done}
    return out


def check_options(
    method: str,
    settings: RTS | OneEuro | None = None,
    max_gap: int = MAX_GAP,
    fps: float | None = None,
    min_score: float = 0.0,
) -> RTS | OneEuro:
    """The settings that count.

    Raises:
        ValueError: An option out of range, see :func:`smooth_predictions`.
    """
    if method not in METHODS:
        raise ValueError(f'method={method!r} has to be one of {", ".join(METHODS)}')
    if not isinstance(max_gap, int) or isinstance(max_gap, bool) or max_gap < 0:
        raise ValueError(f'max_gap={max_gap!r} has to be a whole number of at least 0')
    if fps is not None and not 0.001 <= fps <= 100_000:
        raise ValueError(f'fps={fps!r} has to be 0.001 to 100000 frames a second')
    if not 0 <= min_score < 1:
        raise ValueError(f'min_score={min_score!r} has to be at least 0 and below 1')
    if settings is None:
        return METHODS[method]()
    if not isinstance(settings, METHODS[method]):
        raise ValueError(f'{type(settings).__name__} has no settings of method={method!r}')
    return settings


def check_raw(first: Mapping) -> None:
    """Raise ValueError if the first frame says that its file is smoothed already."""
    run = first.get('run')
    if isinstance(run, Mapping) and 'smoothing' in run:
        raise ValueError('these poses are smoothed already (run.smoothing): give the raw ones')


def rate_of(first: Mapping) -> float | None:
    """Frames a second by ``meta``, or None.

    Raises:
        ValueError: It is no positive number.
    """
    meta = first.get('meta')
    given = meta.get('fps') if isinstance(meta, Mapping) else None
    if given is None:
        return None
    try:
        rate = float(given)
    except (TypeError, ValueError):
        rate = np.nan
    if not 0 < rate < np.inf:
        raise ValueError(f'meta.fps is {given!r}, not frames a second: give fps')
    return rate


def describe(method: str, settings: Any, max_gap: int, min_score: float) -> dict[str, Any]:
    """What the first frame says of a smoothing."""
    return dict(
        method=method,
        settings=asdict(settings),
        max_gap=max_gap,
        min_score=min_score,
        version=__version__,
    )


class CausalSmoother:
    """The One-Euro filter of all people of a video, frame by frame.

    Args:
        settings: Of the filter.
        max_gap, min_score: See :func:`smooth_predictions`.
    """

    def __init__(
        self, settings: OneEuro | None = None, max_gap: int = MAX_GAP, min_score: float = 0.0
    ) -> None:
        self.settings = settings or OneEuro()
        self.max_gap = max_gap
        self.min_score = min_score
        self._who = WhoIsWho(max_gap)
        self._sizes = FrameSizes()
        self._states: dict[tuple, tuple[int, OneEuroState]] = {}

    def people(self, frame: int, time: float, entry: Mapping) -> list[dict]:
        """The people of the next frame, smoothed.

        Args:
            frame: Its number.
            time: Seconds.
            entry: Of the JSON.

        Raises:
            ValueError: A person or field that cannot be used, by name.
        """
        people = _read_people(entry, frame, self.min_score)
        found = []
        keys = self._sizes(entry, self._who(frame, people))
        for key, (person, pose) in zip(keys, people):
            _, state = self._states.get(key) or (0, OneEuroState(self.settings, self.max_gap))
            try:
                points = state(frame, time, pose.points, pose.present, known_size(pose.size))
            except (IndexError, ValueError) as error:
                raise ValueError(
                    f'{" ".join(map(str, key))} has another number of keypoints in frame {frame} '
                    'than before'
                ) from error
            self._states[key] = frame, state
            found.append(_smoothed(person, pose, points))
        # Who does not come back must not be remembered for ever.
        gone = [k for k, (seen, _) in self._states.items() if frame - seen > self.max_gap]
        for key in gone:
            del self._states[key]
        return found


class FrameSizes:
    """Ends all tracks where the size of the frames changes: their places are of another picture."""

    def __init__(self) -> None:
        self._last: Any = None
        self._changes = -1

    def __call__(self, entry: Mapping, keys: Sequence[tuple]) -> list[tuple]:
        """The keys of a frame's people, others than before once the size has changed."""
        size = entry.get('image_size')
        if self._changes < 0 or size != self._last:
            self._last, self._changes = size, self._changes + 1
        if not self._changes:
            return list(keys)
        return [(*key, f'(change {self._changes} of the frame size)') for key in keys]


def _read_people(entry: Mapping, frame: int, min_score: float) -> list[tuple[dict, Pose]]:
    return [
        (person, read_pose(person, f'person {place} of frame {frame}', min_score))
        for place, person in enumerate(entry['instances'])
    ]


def _smoothed(person: Mapping, pose: Pose, points: np.ndarray) -> dict:
    """A person with other places of the joints that were found."""
    kept = {
        name: _without_nan(value) for name, value in person.items() if name not in _OF_THE_RAW_POSE
    }
    places = [
        point.tolist() if present else given
        for point, present, given in zip(points, pose.present, _without_nan(person['keypoints']))
    ]
    if 'keypoint_scores' in kept:
        kept['keypoint_scores'] = [score or 0.0 for score in kept['keypoint_scores']]
    return {**kept, 'keypoints': places}


def _without_nan(value: Any) -> Any:
    """The value with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _without_nan(part) for name, part in value.items()}
    return [_without_nan(part) for part in value] if isinstance(value, (list, tuple)) else value


def _smooth_tracks(
    out: list[dict],
    frames: np.ndarray,
    times: np.ndarray,
    smoother: RTS,
    max_gap: int,
    min_score: float,
    advance: Callable[[], None],
) -> dict[str, int]:
    """Smooth the people of frames, in place of what they were; how much was filled."""
    who, sizes = WhoIsWho(max_gap), FrameSizes()
    tracks: dict[tuple, dict[int, tuple[dict, Pose]]] = {}
    order: list[list[tuple]] = []
    for place, entry in enumerate(out):
        people = _read_people(entry, int(frames[place]), min_score)
        keys = sizes(entry, who(int(frames[place]), people))
        order.append(keys)
        for key, found in zip(keys, people):
            tracks.setdefault(key, {})[place] = found
    people_of: list[dict[tuple, dict]] = [{} for _ in out]
    counts = dict(filled_joints=0, filled_people=0)
    for key, seen in tracks.items():
        poses = {place: pose for place, (_, pose) in seen.items()}
        track, part = make_track(poses, frames, times, ' '.join(map(str, key)))
        runs = find_runs(track.frames, track.present, max_gap)
        points, deviations = smoother(track, runs)
        gaps = runs.gaps
        scores = _bridged_scores(track.scores, runs.measured, gaps)
        for row, place in enumerate(range(part.start, part.stop)):
            if place in seen:
                person, pose = seen[place]
                new = _smoothed(person, pose, points[row])
            elif gaps[row].any():
                new = _filled_person(seen, place, times, len(points[row]))
                counts['filled_people'] += 1
            else:
                continue
            if gaps[row].any():
                _fill(new, gaps[row], points[row], deviations[row], scores[row])
                counts['filled_joints'] += int(gaps[row].sum())
            people_of[place][key] = new
            advance()
    for place, smoothed in enumerate(people_of):
        keys = order[place]
        new_keys = [key for key in smoothed if key not in keys]
        out[place]['instances'] = [smoothed[key] for key in (*keys, *new_keys)]
    return counts


def _bridged_scores(scores: np.ndarray, measured: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """(T, K) scores; in a gap the lower one of those at its sides."""
    bridged = scores.copy()
    for joint in np.flatnonzero(gaps.any(axis=0)):
        found = np.flatnonzero(measured[:, joint])
        rows = np.flatnonzero(gaps[:, joint])
        after = np.searchsorted(found, rows)
        sides = scores[found[after - 1], joint], scores[found[after], joint]
        bridged[rows, joint] = np.minimum(*sides)
    return bridged


def _filled_person(
    found: Mapping[int, tuple[dict, Pose]], place: int, times: np.ndarray, joints: int
) -> dict:
    """A person in a frame in which nobody found them; joints that are not filled are absent."""
    before = max(p for p in found if p < place)
    after = min(p for p in found if p > place)
    (person, pose), (later, later_pose) = found[before], found[after]
    new: dict[str, Any] = dict(
        keypoints=[[0.0, 0.0] for _ in range(joints)], keypoint_scores=[0.0] * joints
    )
    if pose.std is not None and later_pose.std is not None:
        new['keypoint_std'] = [[0.0, 0.0] for _ in range(joints)]
    if pose.box is not None and later_pose.box is not None:
        share = (times[place] - times[before]) / (times[after] - times[before])
        new['bbox'] = [((1 - share) * pose.box + share * later_pose.box).tolist()]
        if 'bbox_score' in person and 'bbox_score' in later:
            new['bbox_score'] = min(person['bbox_score'], later['bbox_score'])
    if 'track_id' in person:
        new['track_id'] = person['track_id']
    return {**new, 'filled': True}


def _fill(
    person: dict, gaps: np.ndarray, points: np.ndarray, deviations: np.ndarray, scores: np.ndarray
) -> None:
    """Give a person the joints of gaps, and mark them."""
    columns = dict(keypoints=points, keypoint_scores=scores)
    if 'keypoint_std' in person:
        columns['keypoint_std'] = deviations
    for name, values in columns.items():
        column = list(person[name])
        for joint in np.flatnonzero(gaps):
            column[joint] = values[joint].tolist()
        person[name] = column
    person['keypoint_filled'] = gaps.tolist()
