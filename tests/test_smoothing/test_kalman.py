"""The smoother of many coordinates beside dense least squares and a matrix exponential."""

import numpy as np
import pytest
from scipy.linalg import expm

from diffpose_mm.smoothing.kalman import motion, smooth_coordinates

TIMES = np.cumsum([0, 0.04, 0.04, 0.1, 0.033, 0.04, 0.2, 0.04, 0.05, 0.04])


def runs(found, cuts=()):
    """(starts, inside) of one coordinate that is measured in the frames ``found``."""
    starts, inside = np.zeros(len(TIMES), bool), np.zeros(len(TIMES), bool)
    for run in np.split(np.array(found), cuts):
        starts[run[0]] = True
        inside[run[0] : run[-1] + 1] = True
    return starts, inside


def least_squares(times, values, variances, density, prior):
    """Mean and variance of the places of a run, as one dense weighted least-squares problem.

    The unknowns are all states; the rows are the measurements, the prior of the derivatives of the
    first state, and the whitened steps from state to state. The posterior is inv(A^T A) A^T b.
    """
    n, count = len(prior) + 1, len(times)
    rows, right = [], []

    def add(row, value):
        rows.append(row)
        right.append(value)

    for derivative, variance in enumerate(prior, 1):
        row = np.zeros(n * count)
        row[derivative] = variance**-0.5
        add(row, 0.0)
    for t in range(count):
        if np.isfinite(values[t]):
            row = np.zeros(n * count)
            row[n * t] = variances[t] ** -0.5
            add(row, values[t] * variances[t] ** -0.5)
        if t:
            transition, noise = motion(times[t] - times[t - 1], n - 1)
            whitening = np.linalg.inv(np.linalg.cholesky(density * noise))
            block = np.zeros((n, n * count))
            block[:, n * t : n * t + n] = whitening
            block[:, n * t - n : n * t] = -whitening @ transition
            for row in block:
                add(row, 0.0)
    design = np.array(rows)
    # By QR: the normal equations of steps this short lose half of the digits.
    q, r = np.linalg.qr(design)
    inverse = np.linalg.inv(r)
    mean = inverse @ (q.T @ np.array(right))
    variance = (inverse**2).sum(axis=1)
    return mean[::n], variance[::n]


@pytest.mark.parametrize('order', [1, 2])
@pytest.mark.parametrize('step', [0.01, 0.7])
def test_motion_is_the_integral_of_white_noise(order, step):
    """Broken if the noise of a step were not that of its length (Van Loan 1978, by expm)."""
    n = order + 1
    drift, source = np.diag(np.ones(order), 1), np.zeros((n, n))
    source[-1, -1] = 1
    blocks = expm(np.block([[-drift, source], [np.zeros((n, n)), drift.T]]) * step)
    transition, noise = motion(step, order)
    np.testing.assert_allclose(transition, blocks[n:, n:].T, rtol=1e-12)
    np.testing.assert_allclose(noise, transition @ blocks[:n, n:], rtol=1e-9)


@pytest.mark.parametrize('order', [1, 2])
@pytest.mark.parametrize('found', [range(10), [0, 1, 2, 5, 6, 9], [3, 4, 5, 8], [7]])
def test_equals_dense_least_squares(order, found):
    """Broken if filter and smoother were not the exact solution: uneven steps, noises, gaps."""
    rng = np.random.default_rng(order)
    found = np.array(list(found))
    values = np.full((10, 3), np.nan)
    values[found] = rng.normal(100, 20, (len(found), 3))
    variances = rng.uniform(0.5, 90, values.shape)
    density, prior = np.array([3.0, 900, 2e5]), rng.uniform(1e3, 1e5, (order, 3))
    starts, inside = (np.repeat(v[:, None], 3, axis=1) for v in runs(found))
    mean, variance = smooth_coordinates(TIMES, values, variances, starts, inside, density, prior)
    part = slice(found[0], found[-1] + 1)
    for column in range(3):
        wanted = least_squares(
            TIMES[part],
            values[part, column],
            variances[part, column],
            density[column],
            prior[:, column],
        )
        np.testing.assert_allclose(mean[part, column], wanted[0], rtol=1e-9)
        np.testing.assert_allclose(variance[part, column], wanted[1], rtol=1e-7)
    outside = np.setdiff1d(range(10), np.arange(10)[part])
    assert np.isnan(mean[outside]).all() and np.isnan(variance[outside]).all()


@pytest.mark.parametrize('order', [1, 2])
def test_runs_know_nothing_of_each_other(order):
    """Broken if something passed over a long gap, to the frames after it or to those before."""
    rng = np.random.default_rng(0)
    found = np.array([0, 1, 2, 7, 8, 9])
    values = np.full((10, 1), np.nan)
    values[found, 0] = rng.normal(0, 20, 6)
    variances, density, prior = np.full((10, 1), 4.0), np.array([900.0]), np.full((order, 1), 1e4)
    starts, inside = (v[:, None] for v in runs(found, [3]))
    both, _ = smooth_coordinates(TIMES, values, variances, starts, inside, density, prior)
    for first, last in ((0, 3), (7, 10)):
        part = slice(first, last)
        wanted, _ = least_squares(
            TIMES[part], values[part, 0], variances[part, 0], 900, [1e4] * order
        )
        np.testing.assert_allclose(both[part, 0], wanted, rtol=1e-9)
    assert np.isnan(both[3:7]).all()


def test_runs_that_follow_at_once_are_apart():
    """Broken if a run that starts where another one ends were smoothed together with it."""
    values = np.repeat([0.0, 1000.0], 5)[:, None]
    starts = np.zeros((10, 1), bool)
    starts[[0, 5]] = True
    mean, _ = smooth_coordinates(
        TIMES, values, np.ones((10, 1)), starts, np.ones((10, 1), bool), np.ones(1), np.ones((1, 1))
    )
    np.testing.assert_allclose(mean, values, atol=1e-9)
