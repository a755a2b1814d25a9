"""People over time, as arrays: predictions of one track, and where its joints have gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Track:
    """A person over T frames, from the first one that they are in to the last: K joints.

    Attributes:
        frames: (T,) numbers of the frames, rising.
        times: (T,) seconds, rising.
        points: (T, K, 2) image pixels; anything where the joint is not present.
        scores: (T, K).
        present: (T, K) bool, joints that were found.
        size: Of the person, image pixels: what lengths are measured in.
        std: (T, K, 2) standard deviations over hypotheses, image pixels, or None.
    """

    frames: np.ndarray
    times: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    present: np.ndarray
    size: float
    std: np.ndarray | None = None


@dataclass
class Runs:
    """Where the joints of a track are known without a long gap; all (T, K) bool.

    Attributes:
        measured: The joint was found.
        starts: First frame of a run.
        inside: From the first to the last frame of a run; those that are not measured are gaps to
            be bridged.
    """

    measured: np.ndarray
    starts: np.ndarray
    inside: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """(T, K) what is bridged."""
        return self.inside & ~self.measured


def find_runs(frames: np.ndarray, present: np.ndarray, max_gap: int) -> Runs:
    """Runs of each joint: gaps of more than ``max_gap`` frames end one, counted by frame number.

    Args:
        frames: (T,) numbers of the frames, rising.
        present: (T, K) bool.
        max_gap: The most frames in a row that are bridged.
    """
    starts, inside = np.zeros_like(present), np.zeros_like(present)
    for joint in range(present.shape[1]):
        found = np.flatnonzero(present[:, joint])
        if not len(found):
            continue
        new = np.flatnonzero(np.diff(frames[found]) - 1 > max_gap) + 1
        for run in np.split(found, new):
            starts[run[0], joint] = True
            inside[run[0] : run[-1] + 1, joint] = True
    return Runs(present, starts, inside)


def person_size(points: np.ndarray, present: np.ndarray, box: np.ndarray | None) -> float:
    """Size of a person in a frame, image pixels: that of a box 1.25 times as large as the joints.

    The joints say it better than the box, which may be the whole picture.

    Args:
        points: (K, 2) image pixels.
        present: (K,) bool.
        box: (4,) x1, y1, x2, y2, which counts where fewer than four joints were found.

    Returns:
        The root of the area; NaN where nothing tells it.
    """
    if present.sum() >= 4:
        sides = 1.25 * np.ptp(points[present], axis=0)
    elif box is not None:
        sides = box[2:] - box[:2]
    else:
        return np.nan
    return float(np.sqrt(np.prod(sides))) if (sides > 0).all() else np.nan


def shared_shake(points: np.ndarray) -> float:
    """How much all joints shake together: robust deviation of their shared second difference.

    Args:
        points: (T, K, 2), NaN where a joint was not found.

    Returns:
        In the unit of the points; 0 where there are no three frames in a row.
    """
    second = points[2:] - 2 * points[1:-1] + points[:-2]
    second = second[np.isfinite(second).any(axis=(1, 2))]
    if not len(second):
        return 0.0
    return float(np.median(np.abs(np.nanmedian(second, axis=1))) / 0.6745)
