"""Runs of joints and sizes of people."""

import numpy as np
import pytest

from diffpose_mm.smoothing.tracks import find_runs, person_size, shared_shake


def by_loop(frames, present, max_gap):
    """(starts, inside) of one joint."""
    starts, inside = np.zeros(len(frames), bool), np.zeros(len(frames), bool)
    last = None
    for row, seen in enumerate(present):
        if not seen:
            continue
        if last is None or frames[row] - frames[last] > max_gap + 1:
            starts[row] = True
        else:
            inside[last:row] = True
        inside[row], last = True, row
    return starts, inside


@pytest.mark.parametrize('max_gap', [0, 1, 3])
def test_runs_equal_a_loop(max_gap):
    """Broken if gaps were counted in rows and not in frames, or ran beyond what was found."""
    rng = np.random.default_rng(max_gap)
    frames = np.cumsum(rng.integers(1, 4, 40))
    present = rng.random((40, 30)) < 0.5
    runs = find_runs(frames, present, max_gap)
    for joint in range(30):
        starts, inside = by_loop(frames, present[:, joint], max_gap)
        np.testing.assert_array_equal(runs.starts[:, joint], starts)
        np.testing.assert_array_equal(runs.inside[:, joint], inside)
    np.testing.assert_array_equal(runs.gaps, runs.inside & ~present)


def test_a_joint_that_is_never_found_has_no_run():
    """Broken if it were filled."""
    runs = find_runs(np.arange(5), np.zeros((5, 2), bool), 3)
    assert not runs.inside.any() and not runs.starts.any()


def test_size_of_a_person():
    """Broken if the whole picture as a box, or two joints, were taken for the size of a person."""
    points = np.array([[0.0, 0], [40, 0], [0, 80], [40, 80], [9e9, np.nan]])
    found = np.array([True] * 4 + [False])
    box = np.array([0.0, 0, 640, 480])
    assert person_size(points, found, box) == pytest.approx(1.25 * np.sqrt(40 * 80))
    few = np.array([True, True, False, False, False])
    assert person_size(points, few, box) == pytest.approx(np.sqrt(640 * 480))
    assert np.isnan(person_size(points, few, None))
    assert np.isnan(person_size(points, few, np.array([5.0, 5, 5, 9])))


def test_shake_is_that_of_white_noise_that_all_joints_share():
    """Broken if joints that move by themselves, or steady walking, counted as a shake."""
    rng = np.random.default_rng(0)
    shake = rng.normal(0, 3, (4000, 1, 2)) + np.arange(4000)[:, None, None]
    points = shake + rng.normal(0, 0.01, (4000, 9, 2))
    # Second differences of white noise have 1 + 4 + 1 times its variance.
    assert shared_shake(points) == pytest.approx(3 * np.sqrt(6), rel=0.05)
    points[:, 0] += rng.normal(0, 300, (4000, 2))
    assert shared_shake(points) == pytest.approx(3 * np.sqrt(6), rel=0.05)
    points[::7] = np.nan
    assert shared_shake(points) == pytest.approx(3 * np.sqrt(6), rel=0.1)
    assert shared_shake(np.zeros((2, 3, 2))) == shared_shake(np.full((5, 3, 2), np.nan)) == 0
