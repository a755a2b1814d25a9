"""Labels that are steadied over time: against numpy's polynomials, and what must not move."""

import numpy as np
import pytest

from diffpose_mm.apis.label_rules import Label, LabelRules
from diffpose_mm.apis.label_smoothing import local_parabolas, smooth


def label(frame, place, score=0.9, track=1, labelled=True):
    """A person with one joint."""
    return Label(
        frame=frame,
        track=track,
        box=np.array([0.0, 0, 100, 100]),
        keypoints=np.array([place], float),
        scores=np.array([score]),
        labelled=np.array([labelled]),
    )


def test_it_is_a_weighted_polynomial_around_each_frame():
    """Broken if weights, their shape in time or the degree were others than documented."""
    rng = np.random.default_rng(0)
    times = np.sort(rng.choice(40, 25, replace=False)).astype(float)
    places, weights = rng.normal(size=(25, 2)), rng.uniform(0.2, 1, 25)
    found = local_parabolas(times, places, weights, 7.0)
    compared = 0
    for i, time in enumerate(times):
        distance = np.abs(times - time) / 7
        near = distance < 1
        if near.sum() < 4:
            continue
        # numpy multiplies residuals, not their squares, by w.
        w = np.sqrt(weights * np.maximum(1 - distance**3, 0) ** 3)[near]
        for axis in range(2):
            reference = np.polynomial.Polynomial.fit(times[near], places[near, axis], 2, w=w)
            assert found[i, axis] == pytest.approx(reference(time), abs=1e-9)
        compared += 1
    assert compared > 20


def test_a_joint_that_speeds_up_stays_where_it_is():
    """Broken if steadying pulled a joint back that is thrown, as a running mean does."""
    times = np.arange(20.0)
    places = np.stack((0.3 * times**2, 5 - times), axis=1)
    np.testing.assert_allclose(local_parabolas(times, places, np.ones(20), 5), places, atol=1e-9)


def test_trembling_becomes_less():
    """Broken if labels were as unsteady as the teacher's answers."""
    rng = np.random.default_rng(1)
    labels = [label(f, rng.normal(50, 1, 2)) for f in range(60)]
    before = np.stack([x.keypoints[0] for x in labels])
    smooth(labels, 9)
    after = np.stack([x.keypoints[0] for x in labels])
    assert np.diff(after, 2, axis=0).std() < 0.2 * np.diff(before, 2, axis=0).std()


def test_unlabelled_joints_neither_move_nor_are_heard():
    """Broken if a joint that was left out for a jump drew its neighbours along."""
    labels = [label(f, (10, 10)) for f in range(9)]
    labels[4] = label(4, (500, 10), labelled=False)
    smooth(labels, 4)
    assert labels[4].keypoints[0].tolist() == [500, 10]
    np.testing.assert_allclose([x.keypoints[0] for x in labels[:4]], [[10, 10]] * 4)


def test_tracks_and_people_without_a_track_stay_apart():
    """Broken if two people who stand side by side were averaged."""
    labels = [label(f, (10, 10), track=1) for f in range(8)]
    labels += [label(f, (90, 10), track=2) for f in range(8)]
    labels += [label(f, (50, 10 + f % 2), track=None) for f in range(8)]
    smooth(labels, 5)
    np.testing.assert_allclose([x.keypoints[0] for x in labels[:8]], [[10, 10]] * 8)
    np.testing.assert_allclose([x.keypoints[0] for x in labels[8:16]], [[90, 10]] * 8)
    assert [x.keypoints[0, 1] for x in labels[16:]] == [10 + f % 2 for f in range(8)]


@pytest.mark.parametrize('half_width', [0, 0.75, 1])
def test_nothing_is_steadied_where_no_other_frame_is_near(half_width):
    """Broken if a video of five frames a second were changed, or a rate that is not known."""
    labels = [label(f, (10 * (f % 2), 0)) for f in range(8)]
    smooth(labels, half_width)
    assert [x.keypoints[0, 0] for x in labels] == [0, 10] * 4


def test_a_negative_time_is_refused():
    """Broken if --smooth -1 were taken for something."""
    with pytest.raises(ValueError, match='smooth=-1'):
        LabelRules(smooth=-1)
