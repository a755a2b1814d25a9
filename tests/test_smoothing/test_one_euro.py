"""The One-Euro filter beside a transcription of its paper's algorithm, number by number."""

import math

import numpy as np
import pytest

from diffpose_mm.smoothing.one_euro import OneEuro, OneEuroState

SIZE = 80.0


class Published:
    """Casiez, Roussel and Vogel 2012, section "The 1 Euro Filter" and its appendix, one value.

    alpha = 1 / (1 + tau / Te), tau = 1 / (2 pi fc), fc = mincutoff + beta |edx|; the derivative is
    that of the value and the last filtered one, low-passed at dcutoff.
    """

    def __init__(self, mincutoff, beta, dcutoff):
        self.mincutoff, self.beta, self.dcutoff = mincutoff, beta, dcutoff
        self.hatx = self.hatdx = self.time = None

    @staticmethod
    def alpha(cutoff, period):
        tau = 1.0 / (2 * math.pi * cutoff)
        return 1.0 / (1.0 + tau / period)

    def __call__(self, time, x):
        if self.time is None:
            self.hatx, self.hatdx = x, 0.0
        else:
            period = time - self.time
            a = self.alpha(self.dcutoff, period)
            self.hatdx = a * ((x - self.hatx) / period) + (1 - a) * self.hatdx
            a = self.alpha(self.mincutoff + self.beta * abs(self.hatdx), period)
            self.hatx = a * x + (1 - a) * self.hatx
        self.time = time
        return self.hatx


def series(seed=0, frames=20, joints=5):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.02, 0.1, frames))
    return times, rng.normal(200, 15, (frames, joints, 2))


def filtered(settings, times, points, present=None, frames=None, max_gap=5):
    state = OneEuroState(settings, max_gap)
    present = np.ones(points.shape[:2], bool) if present is None else present
    frames = np.arange(len(points)) if frames is None else frames
    return np.array(
        [state(int(f), t, p, q, SIZE) for f, t, p, q in zip(frames, times, points, present)]
    )


def test_equals_the_published_equations():
    """Broken if the filter were another one: uneven times, beta per size of the person."""
    times, points = series()
    settings = OneEuro(min_cutoff=1.3, beta=4.0, derivative_cutoff=0.8, together=False)
    found = filtered(settings, times, points)
    for joint, axis in np.ndindex(points.shape[1:]):
        wanted = Published(1.3, 4.0 / SIZE, 0.8)
        np.testing.assert_allclose(
            found[:, joint, axis],
            [wanted(t, x) for t, x in zip(times, points[:, joint, axis])],
            rtol=1e-12,
        )


def test_a_missing_joint_goes_on_after_a_short_gap_and_begins_anew_after_a_long_one():
    """Broken if a gap were counted in frames seen, or the filter remembered over a long one."""
    times, points = series(frames=12)
    present = np.ones((12, 5), bool)
    present[3:5, 0] = present[3:6, 1] = False
    points[~present] = np.nan
    settings = OneEuro(1.0, 0.0, 1.0, together=False)
    found = filtered(settings, times, points, present, max_gap=2)
    short = Published(1.0, 0.0, 1.0)
    seen = [0, 1, 2, *range(5, 12)]
    wanted = [short(times[t], points[t, 0, 0]) for t in seen]
    np.testing.assert_allclose(found[seen, 0, 0], wanted, rtol=1e-12)
    assert np.isnan(found[3:5, 0]).all()
    np.testing.assert_array_equal(found[6, 1], points[6, 1])
    # The same by frame numbers alone: rows 3 and later are 3 frames farther.
    frames = np.arange(12) + 3 * (np.arange(12) >= 3)
    cut = filtered(settings, times, series(frames=12)[1], frames=frames, max_gap=2)
    np.testing.assert_array_equal(cut[3], series(frames=12)[1][3])


def test_what_all_joints_move_by_together_passes_at_once():
    """Broken if a walking person, or a shaking camera, made the pose lag behind."""
    times, points = series(frames=30)
    still = np.broadcast_to(points[0], points.shape)
    shift = np.cumsum(np.random.default_rng(1).normal(0, 30, (30, 1, 2)), axis=0)
    np.testing.assert_allclose(
        filtered(OneEuro(0.5, 0.0, still=0), times, still + shift), still + shift, rtol=1e-9
    )
    alone = filtered(OneEuro(0.5, 0.0, together=False), times, still + shift)
    assert np.abs(alone - still - shift).mean() > 10


def test_trembling_that_all_joints_share_does_not_pass():
    """Broken if a model whose whole pose trembles on a still person were taken for a walk."""
    times, points = series(frames=30)
    shift = np.random.default_rng(1).normal(0, 0.1, (30, 1, 2))
    trembling = points[:1] + shift
    found = filtered(OneEuro(0.5, 0.0), times, trembling)
    np.testing.assert_array_equal(
        found, filtered(OneEuro(0.5, 0.0, together=False), times, trembling)
    )
    assert (
        np.abs(np.diff(found, 2, axis=0)).mean()
        < 0.5 * np.abs(np.diff(trembling, 2, axis=0)).mean()
    )


def test_a_joint_that_jumps_does_not_move_the_others():
    """Broken if shared movement were a mean, which one bad joint moves."""
    times, points = series(frames=10)
    still = np.repeat(points[:1], 10, axis=0)
    jumped = still.copy()
    jumped[5:, 2] += 100
    found = filtered(OneEuro(0.5, 0.0), times, jumped)
    np.testing.assert_allclose(np.delete(found, 2, axis=1), np.delete(still, 2, axis=1))
    assert 0 < found[5, 2, 0] - still[5, 2, 0] < 50


def test_less_jitter_of_a_joint_at_rest():
    """Broken if the filter let noise of a still person through."""
    rng = np.random.default_rng(0)
    times = np.arange(200) / 25
    points = np.array([[100.0, 50]] * 5) + rng.normal(0, 2, (200, 5, 2))
    found = filtered(OneEuro(1.0, 0.0), times, points)
    assert np.diff(found, 2, axis=0).std() < 0.5 * np.diff(points, 2, axis=0).std()


@pytest.mark.parametrize(
    'setting', [dict(min_cutoff=0), dict(beta=-1), dict(derivative_cutoff=float('nan'))]
)
def test_settings_out_of_range_are_refused(setting):
    """Broken if a cut-off of zero gave poses that never move."""
    with pytest.raises(ValueError, match=next(iter(setting))):
        OneEuro(**setting)
