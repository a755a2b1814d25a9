"""Moments of a video that are worth a look: where the poses are least certain, and gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .predictions import Predictions


@dataclass
class Moment:
    """A frame to look at.

    Attributes:
        place: Of the frame among those of the predictions.
        track: Whose pose it is.
        reason: What makes it uncertain, with its value and unit.
    """

    place: int
    track: int
    reason: str


def least_certain(predictions: Predictions, count: int = 8, apart: float = 1.0) -> list[Moment]:
    """The least certain poses of a video, at most one within ``apart`` seconds of another.

    With several hypotheses a pose is as uncertain as its mean standard deviation over the
    longer side of its box, else as its mean score is low.

    Args:
        predictions: Of the video.
        count: How many at most.
        apart: Seconds between two of them; less where the video is short.

    Returns:
        list[Moment]: The least certain first.
    """
    if not len(predictions.tracks):
        return []
    present = np.array([name not in predictions.absent for name in predictions.keypoints])
    owner = np.repeat(np.arange(len(predictions)), np.diff(predictions.starts))
    if predictions.deviations is not None:
        spread = np.linalg.norm(predictions.deviations[:, present], axis=2).mean(1)
        side = np.ptp(predictions.boxes.reshape(-1, 2, 2), axis=1).max(1)
        doubt = spread / np.maximum(side, 1)
        reasons = [f'spread {value:.1f} px, box {size:.0f} px' for value, size in zip(spread, side)]
    else:
        score = predictions.scores[:, present].mean(1)
        doubt, reasons = 1 - score, [f'confidence {value:.2f}' for value in score]
    times = filled_times(predictions)
    apart = min(apart, float(np.ptp(times)) / (2 * count))  # short videos have moments, too
    chosen: list[Moment] = []
    for row in np.argsort(-doubt, kind='stable'):
        place = int(owner[row])
        if all(abs(times[place] - times[moment.place]) >= apart for moment in chosen):
            chosen.append(Moment(place, int(predictions.tracks[row]), reasons[row]))
            if len(chosen) == count:
                break
    return chosen


def gaps(predictions: Predictions) -> list[tuple[int, int, str]]:
    """Stretches of frames without poses: first and last place, and why."""
    counts = np.diff(predictions.starts)
    found: list[tuple[int, int, str]] = []
    for place in np.flatnonzero(counts == 0):
        why = predictions.faults.get(int(predictions.frames[place]), 'nobody')
        if found and found[-1][1] == place - 1 and found[-1][2] == why:
            found[-1] = (found[-1][0], int(place), why)
        else:
            found.append((int(place), int(place), why))
    return found


def filled_times(predictions: Predictions) -> np.ndarray:
    """(F,) seconds of the frames; those that are not known lie evenly between their neighbours."""
    places, known = np.arange(len(predictions)), np.isfinite(predictions.times)
    step = 1 / (predictions.fps or 25)
    if not known.any():
        return predictions.frames * step
    times = np.interp(places, places[known], predictions.times[known])
    first, last = np.flatnonzero(known)[[0, -1]]
    times[:first] = times[first] - step * np.arange(first, 0, -1)
    times[last + 1 :] = times[last] + step * np.arange(1, len(times) - last)
    return times
