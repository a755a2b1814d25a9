"""Errors of motion: worked examples and loops."""

import numpy as np
import pytest

from diffpose_mm.evaluation.pose_motion import (
    acceleration_errors,
    accelerations,
    still_jitter,
    velocities,
    velocity_errors,
)


def test_a_falling_joint():
    """Broken if velocities or accelerations had another unit: pixels a second and a second^2."""
    times = np.array([0.0, 0.1, 0.3, 0.4, 0.8])
    points = (5 + 3 * times + 2 * times**2)[:, None, None] * np.array([1.0, 0])
    frames = np.arange(5)
    middles = (times[1:] + times[:-1]) / 2
    np.testing.assert_allclose(velocities(points, frames, times)[:, 0, 0], 3 + 4 * middles)
    np.testing.assert_allclose(accelerations(points, frames, times)[:, 0], [[4, 0]] * 3, atol=1e-9)
    # A frame at a time, as the published metrics count.
    np.testing.assert_allclose(accelerations(points, frames)[:, 0, 0], np.diff(points[:, 0, 0], 2))


def test_errors_equal_loops():
    """Broken if an error were not the length of the difference, of each joint by itself."""
    rng = np.random.default_rng(0)
    points, truth = rng.normal(0, 9, (2, 8, 3, 2))
    velocity = velocity_errors(points, truth, np.arange(8))
    acceleration = acceleration_errors(points, truth, np.arange(8))
    assert velocity.shape == (7, 3) and acceleration.shape == (6, 3)
    off = points - truth
    for t in range(6):
        for k in range(3):
            dx, dy = off[t + 1, k] - off[t, k]
            assert velocity[t, k] == pytest.approx(np.hypot(dx, dy))
            ax, ay = off[t + 2, k] - 2 * off[t + 1, k] + off[t, k]
            assert acceleration[t, k] == pytest.approx(np.hypot(ax, ay))


def test_nothing_is_counted_across_what_is_missing():
    """Broken if a joint's gap, or a frame that is not there, counted as a leap."""
    points = np.zeros((7, 1, 2))
    truth = points.copy()
    points[5:] = 100
    frames = np.array([0, 1, 2, 3, 4, 9, 10])
    velocity = velocity_errors(points, truth, frames)[:, 0]
    assert np.isnan(velocity[4]) and np.nansum(velocity) == 0
    np.testing.assert_array_equal(
        np.isnan(acceleration_errors(points, truth, frames)[:, 0]), [0, 0, 0, 1, 1]
    )
    points = np.zeros((7, 1, 2))
    points[3] = np.nan
    found = acceleration_errors(points, truth, np.arange(7))[:, 0]
    np.testing.assert_array_equal(np.isnan(found), [0, 1, 1, 1, 0])


def test_jitter_is_that_of_joints_at_rest():
    """Broken if a joint that moves, or stands only for one frame, counted."""
    truth = np.zeros((6, 2, 2))
    truth[:, 1, 0] = 10 * np.arange(6)
    truth[4:, 0] = 30
    points = truth.copy()
    points[1] += [3, 4]
    found = still_jitter(points, truth, np.arange(6), still=0.5)
    np.testing.assert_allclose(found[:2, 0], [10, 5])
    assert np.isnan(found[2:, 0]).all() and np.isnan(found[:, 1]).all()


@pytest.mark.parametrize(
    'frames, times, message',
    [
        ([0, 1], None, '3 poses, 2 frames'),
        ([0, 2, 2], None, 'rise'),
        ([0, 1, 2], [0.0, 0.2, 0.1], 'rise'),
        ([0, 1, 2], [0.0, 0.1], '2 times'),
    ],
)
def test_frames_that_do_not_fit_are_refused(frames, times, message):
    """Broken if poses were put beside times of others."""
    with pytest.raises(ValueError, match=message):
        velocities(np.zeros((3, 1, 2)), frames, times)
