"""The smoother of a track: noise by spread, outliers, shared movement; beside direct solutions."""

import numpy as np
import pytest

from diffpose_mm.smoothing.kalman import smooth_coordinates
from diffpose_mm.smoothing.rts import RTS
from diffpose_mm.smoothing.tracks import Track, find_runs

GAUSSIAN = dict(doubt=0, doubt_by_std=0, doubt_by_score=0, sway=0)
SIZE = 100.0


def track_of(points, std=None, scores=None, present=None):
    count, joints = points.shape[:2]
    present = np.ones((count, joints), bool) if present is None else present
    scores = np.full((count, joints), 0.9) if scores is None else scores
    frames = np.arange(count)
    return Track(frames, frames / 25, points, scores, present, SIZE, std)


def smooth(settings, track, max_gap=5):
    return settings(track, find_runs(track.frames, track.present, max_gap))


def arc(count=60, joints=6):
    """(count, joints, 2) joints that move smoothly."""
    angle = np.linspace(0, 3, count)[:, None] + np.arange(joints)
    return 200 + 40 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def test_is_the_kalman_smoother_of_its_noise():
    """Broken if spread, floor or agility reached the smoother in other units."""
    rng = np.random.default_rng(0)
    points, std = arc() + rng.normal(0, 3, (60, 6, 2)), rng.uniform(0, 9, (60, 6, 2))
    settings = RTS(noise='std', floor=0.02, std_gain=1.5, score_gain=0.2, agility=4, **GAUSSIAN)
    found, deviations = smooth(settings, track_of(points, std))
    spread = np.sqrt((std**2).mean(axis=2))
    variances = np.repeat(
        (0.02 * SIZE) ** 2 + (1.5 * spread) ** 2 + (0.2 * 0.1 * SIZE) ** 2, 2, axis=1
    )
    starts = np.zeros((60, 12), bool)
    starts[0] = True
    wanted, variance = smooth_coordinates(
        np.arange(60) / 25,
        points.reshape(60, 12),
        variances,
        starts,
        np.ones((60, 12), bool),
        np.full(12, (4 * SIZE) ** 2),
        np.full((1, 12), (3 * SIZE) ** 2),
    )
    np.testing.assert_allclose(found.reshape(60, 12), wanted, rtol=1e-9)
    np.testing.assert_allclose(deviations.reshape(60, 12) ** 2, variance, rtol=1e-9)


def test_spread_that_tells_the_error_gives_a_better_pose_than_one_noise_for_all():
    """Broken if the spread did not matter: what the smoother is for. Three seeds."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        std = np.where(rng.random((60, 6, 1)) < 0.3, 15.0, 1.5) * np.ones(2)
        points = arc() + rng.normal(0, 1, (60, 6, 2)) * std
        errors = [
            np.linalg.norm(
                smooth(RTS(noise=noise, std_gain=1, **GAUSSIAN), track_of(points, std))[0] - arc()
            )
            for noise in ('std', 'constant')
        ]
        assert errors[0] < 0.8 * errors[1]


def test_an_outlier_counts_as_little_as_if_it_were_not_there():
    """Broken if a joint that jumps to the other leg for a frame pulled its neighbours along."""
    points = arc() + np.random.default_rng(0).normal(0, 1, (60, 6, 2))
    bad = points.copy()
    bad[30, 2] += 60
    present = np.ones((60, 6), bool)
    present[30, 2] = False
    settings = RTS(noise='constant', sway=0)
    wanted, _ = smooth(settings, track_of(points, present=present))
    found, _ = smooth(settings, track_of(bad))
    assert np.abs(found - wanted).max() < 1.5
    gaussian, _ = smooth(RTS(noise='constant', **GAUSSIAN), track_of(bad))
    assert np.abs(gaussian - wanted).max() > 5


def test_a_step_that_the_joint_really_makes_is_followed():
    """Broken if what stays elsewhere were taken for an outlier for ever."""
    points = np.full((60, 6, 2), 100.0)
    points[30:, 2] += 60
    found, _ = smooth(RTS(noise='constant'), track_of(points))
    np.testing.assert_allclose(found[40:, 2], points[40:, 2], atol=2)


def test_movement_that_all_joints_share_is_kept():
    """Broken if a camera that shakes were smoothed off the poses, which then miss the people."""
    rng = np.random.default_rng(0)
    still, shake = np.broadcast_to(arc()[:1], (60, 6, 2)), rng.normal(0, 12, (60, 1, 2))
    points = still + shake + rng.normal(0, 1, (60, 6, 2))
    with_sway, without = (
        np.abs(smooth(RTS(noise='constant', sway=s), track_of(points))[0] - still - shake).mean()
        for s in (0.5, 0)
    )
    assert with_sway < 1 < 5 < without


def test_trembling_that_all_joints_share_is_not_kept():
    """Broken if a box that trembles, and the pose with it, were taken for a camera that shakes."""
    shake = np.random.default_rng(0).normal(0, 0.2, (60, 1, 2))
    tremble = arc()[:1] + shake
    found, _ = smooth(RTS(noise='constant'), track_of(tremble))
    assert np.abs(np.diff(found, 2, axis=0)).mean() < 0.2 * np.abs(np.diff(shake, 2, axis=0)).mean()
    kept, _ = smooth(RTS(noise='constant', still=0), track_of(tremble))
    assert np.abs(kept - tremble).mean() < 0.02


def test_gaps_are_bridged_and_ends_are_not_passed():
    """Broken if a joint were invented before it is first seen, after it is last, or over a cut."""
    points, present = arc(), np.ones((60, 6), bool)
    present[:3, 0] = present[55:, 0] = False
    present[20:25, 1] = False
    present[20:26, 2] = False
    points[~present] = np.nan
    found, deviations = smooth(RTS(), track_of(points, present=present), max_gap=5)
    assert np.isnan(found[:3, 0]).all() and np.isnan(found[55:, 0]).all()
    assert np.isnan(found[20:26, 2]).all()
    np.testing.assert_allclose(found[20:25, 1], arc()[20:25, 1], atol=3)
    assert deviations[22, 1, 0] > 1.5 * deviations[10, 1, 0]
    assert np.isfinite(np.delete(found, [0, 1, 2], axis=1)).all()


@pytest.mark.parametrize('noise', ['std', 'score', 'constant'])
def test_one_frame_stays_as_it_is(noise):
    """Broken if a person of a single frame were lost or moved."""
    points = arc(1)
    found, _ = smooth(RTS(noise=noise), track_of(points, std=np.ones_like(points)))
    np.testing.assert_allclose(found, points, atol=1e-9)


def test_a_joint_far_out_of_the_picture_gives_numbers():
    """Broken if its weight became 0 / 0, or it pulled the other joints along."""
    points = arc()
    points[10, 0] = 1e7
    found, deviations = smooth(RTS(), track_of(points, std=np.zeros_like(points)))
    assert np.isfinite(found).all() and (deviations > 0).all()
    points[10, 0] = 3000
    found, _ = smooth(RTS(), track_of(points, std=np.zeros_like(points)))
    np.testing.assert_allclose(found, arc(), atol=6)


def test_auto_takes_the_spread_where_there_is_one():
    """Broken if several hypotheses were ignored, or one hypothesis refused."""
    points, std = (
        arc() + np.random.default_rng(0).normal(0, 4, (60, 6, 2)),
        np.full((60, 6, 2), 4.0),
    )
    for given, noise in ((std, 'std'), (None, 'score')):
        wanted, _ = smooth(RTS(noise=noise), track_of(points, given))
        np.testing.assert_array_equal(smooth(RTS(), track_of(points, given))[0], wanted)
    with pytest.raises(ValueError, match='needs keypoint_std'):
        smooth(RTS(noise='std'), track_of(points))


@pytest.mark.parametrize(
    'setting',
    [dict(order=3), dict(agility=0), dict(noise='spread'), dict(sway=-1), dict(rounds=1.5),
     dict(floor=float('inf')), dict(doubt=-0.1), dict(reach=0)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(setting):
    """Broken if they gave poses of nonsense."""
    with pytest.raises(ValueError, match=next(iter(setting))):
        RTS(**setting)
