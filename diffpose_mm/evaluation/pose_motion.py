"""Errors of motion: velocity and acceleration against truth (MPJVE, MPJAE), jitter of still joints.

MPJVE is the mean length of the difference of velocities (Pavllo et al., 3D human pose estimation in
video with temporal convolutions, CVPR 2019), MPJAE that of accelerations (Zeng et al., SmoothNet,
ECCV 2022), by finite differences. Nothing is counted across a frame that is missing.
"""

from __future__ import annotations

import numpy as np


def _differences(
    points: np.ndarray, frames: np.ndarray, times: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Velocities (T - 1, K, 2), NaN between frames that do not follow each other, and the steps."""
    frames = np.asarray(frames)
    moments = np.asarray(frames if times is None else times, float)
    if len(moments) != len(points) or len(frames) != len(points):
        raise ValueError(
            f'{len(points)} poses, {len(frames)} frames and {len(moments)} times: equally many '
            'are needed'
        )
    steps = np.diff(moments)
    if (steps <= 0).any():
        raise ValueError('frames and times have to rise')
    follows = np.diff(frames) == 1
    velocities = np.diff(points, axis=0) / steps[:, None, None]
    return np.where(follows[:, None, None], velocities, np.nan), steps


def velocities(
    points: np.ndarray, frames: np.ndarray, times: np.ndarray | None = None
) -> np.ndarray:
    """First differences of joints.

    Args:
        points: (T, K, 2) image pixels; NaN where a joint is missing.
        frames: (T,) numbers of the frames, rising.
        times: (T,) seconds. Defaults to the numbers: everything is then per frame.

    Returns:
        (T - 1, K, 2) pixels a frame, or a second; NaN where a joint or a frame is missing.

    Raises:
        ValueError: Frames or times that do not rise, or not one for each pose.
    """
    return _differences(np.asarray(points, float), frames, times)[0]


def accelerations(
    points: np.ndarray, frames: np.ndarray, times: np.ndarray | None = None
) -> np.ndarray:
    """Second differences of joints, by divided differences where steps are uneven.

    Args:
        points, frames, times: See :func:`velocities`.

    Returns:
        (T - 2, K, 2) pixels a frame^2, or a second^2; NaN where a joint or a frame is missing.
    """
    first, steps = _differences(np.asarray(points, float), frames, times)
    middle = (steps[1:] + steps[:-1]) / 2
    return np.diff(first, axis=0) / middle[:, None, None]


def velocity_errors(
    points: np.ndarray, truth: np.ndarray, frames: np.ndarray, times: np.ndarray | None = None
) -> np.ndarray:
    """Lengths of the differences of velocities; their ``nanmean`` is MPJVE.

    Args:
        points: (T, K, 2) predicted, image pixels; NaN where a joint is missing.
        truth: (T, K, 2) likewise.
        frames, times: See :func:`velocities`.

    Returns:
        (T - 1, K); NaN where either is missing.
    """
    return np.linalg.norm(
        velocities(points, frames, times) - velocities(truth, frames, times), axis=-1
    )


def acceleration_errors(
    points: np.ndarray, truth: np.ndarray, frames: np.ndarray, times: np.ndarray | None = None
) -> np.ndarray:
    """Lengths of the differences of accelerations; their ``nanmean`` is MPJAE.

    Args:
        points, truth, frames, times: See :func:`velocity_errors`.

    Returns:
        (T - 2, K); NaN where either is missing.
    """
    return np.linalg.norm(
        accelerations(points, frames, times) - accelerations(truth, frames, times), axis=-1
    )


def still_jitter(
    points: np.ndarray,
    truth: np.ndarray,
    frames: np.ndarray,
    still: float,
    times: np.ndarray | None = None,
) -> np.ndarray:
    """Lengths of the accelerations of joints that are at rest in truth.

    Args:
        points, truth, frames, times: See :func:`velocity_errors`.
        still: A joint that is slower in truth, from the frame before and to the frame after, is
            at rest; pixels a frame, or a second.

    Returns:
        (T - 2, K); NaN where a joint moves or is missing.
    """
    speeds = np.linalg.norm(velocities(truth, frames, times), axis=-1)
    with np.errstate(invalid='ignore'):
        at_rest = (speeds[1:] <= still) & (speeds[:-1] <= still)
    lengths = np.linalg.norm(accelerations(points, frames, times), axis=-1)
    return np.where(at_rest, lengths, np.nan)
