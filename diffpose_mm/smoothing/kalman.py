"""The Kalman filter and the Rauch-Tung-Striebel smoother of many independent coordinates at once.

A coordinate moves with a velocity (order 1) or an acceleration (order 2) that white noise drives,
sampled at uneven times (Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking
and Navigation, 2001, section 6.2). The smoother is that of Rauch, Tung and Striebel, Maximum
likelihood estimates of linear dynamic systems, AIAA Journal 3, 1965.
"""

from __future__ import annotations

import math

import numpy as np


def motion(step: float, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Transition and process noise (of density 1) of a time step.

    Args:
        step: Seconds, positive.
        order: 1 for constant velocity, 2 for constant acceleration.

    Returns:
        F (n, n) and Q (n, n), n = order + 1, of position and its derivatives.
    """
    n = order + 1
    transition, noise = np.eye(n), np.empty((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            transition[i, j] = step ** (j - i) / math.factorial(j - i)
        for j in range(n):
            a, b = order - i, order - j
            noise[i, j] = step ** (a + b + 1) / (
                (a + b + 1) * math.factorial(a) * math.factorial(b)
            )
    return transition, noise


def smooth_coordinates(
    times: np.ndarray,
    values: np.ndarray,
    variances: np.ndarray,
    starts: np.ndarray,
    inside: np.ndarray,
    density: np.ndarray,
    prior: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and variance of each coordinate at each time, given all of its measurements.

    A run begins with a measurement: position has a flat prior there, its derivatives a Gaussian
    one about zero. Nothing passes from one run of a coordinate to the next.

    Args:
        times: (T,) seconds, strictly rising.
        values: (T, M) measurements of M coordinates; NaN where there is none.
        variances: (T, M) of the measurements, positive; anything where there is none.
        starts: (T, M) bool, the first measurement of each run.
        inside: (T, M) bool, from the first to the last measurement of a run.
        density: (M,) of the noise that drives the last derivative: pixels^2 / s^3 for constant
            velocity, pixels^2 / s^5 for constant acceleration.
        prior: (order, M) variance of each derivative at the start of a run.

    Returns:
        (T, M) means and (T, M) variances; NaN outside of the runs.
    """
    count, width = values.shape
    order = len(prior)
    n = order + 1
    measured = np.isfinite(values) & inside
    start_cov = np.zeros((width, n, n))
    start_cov[:, range(1, n), range(1, n)] = prior.T
    mean, cov = np.zeros((width, n)), np.broadcast_to(np.eye(n), (width, n, n))
    means, covs = np.empty((count, width, n)), np.empty((count, width, n, n))
    ahead_means, ahead_covs = means.copy(), covs.copy()  # as predicted, before the measurement
    transitions = np.empty((count, n, n))
    for t in range(count):
        if t:
            transitions[t], noise = motion(times[t] - times[t - 1], order)
            mean = mean @ transitions[t].T
            cov = transitions[t] @ cov @ transitions[t].T + density[:, None, None] * noise
        ahead_means[t], ahead_covs[t] = mean, cov
        total = np.where(measured[t], cov[:, 0, 0] + variances[t], np.inf)
        gain = cov[:, :, 0] / total[:, None]
        innovation = np.where(measured[t], values[t] - mean[:, 0], 0)
        mean = mean + gain * innovation[:, None]
        cov = cov - gain[:, :, None] * cov[:, None, 0, :]
        first = starts[t]
        mean[first] = 0
        mean[first, 0] = values[t, first]
        cov[first] = start_cov[first]
        cov[first, 0, 0] = variances[t, first]
        # What is between runs is never read; it must not grow either.
        mean[~inside[t]], cov[~inside[t]] = 0, np.eye(n)
        means[t], covs[t] = mean, cov
    for t in range(count - 2, -1, -1):
        linked = inside[t] & inside[t + 1] & ~starts[t + 1]
        if not linked.any():
            continue
        # Both are symmetric: gain^T = inv(predicted) (transition covariance).
        cross = transitions[t + 1] @ covs[t, linked]
        gain = np.linalg.solve(ahead_covs[t + 1, linked], cross).transpose(0, 2, 1)
        change = means[t + 1, linked] - ahead_means[t + 1, linked]
        means[t, linked] += (gain @ change[:, :, None])[:, :, 0]
        change = covs[t + 1, linked] - ahead_covs[t + 1, linked]
        covs[t, linked] += gain @ change @ gain.transpose(0, 2, 1)
    outside = ~inside
    positions, spread = means[:, :, 0], covs[:, :, 0, 0]
    return np.where(outside, np.nan, positions), np.where(outside, np.nan, spread)
