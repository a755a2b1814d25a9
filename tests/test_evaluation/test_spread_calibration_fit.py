"""The calibration of the spread: recovered from errors of known size, and met on other data."""

import numpy as np
import pytest
from scipy.stats import norm

from diffpose_mm.evaluation.spread_calibration_fit import WITHIN, coverage, fit_table
from diffpose_mm_runtime.spread_calibration import VERSION, SpreadCalibration


def joints(count, seed, factor=3.0, tails=0.0):
    """Spreads, scores and normal errors whose standard deviation is a known multiple of them."""
    rng = np.random.default_rng(seed)
    spread = np.exp(rng.uniform(-1, 2, (count, 2)))
    scores = rng.uniform(0.1, 1, count)
    stds = factor * spread**0.8 * np.exp(0.5 - scores)[:, None]
    errors = stds * rng.normal(size=(count, 2))
    errors[rng.uniform(size=count) < tails] *= 4
    return spread, scores, errors, stds


def test_the_shares_are_those_of_a_normal_distribution():
    """Broken if a standard deviation were made to hold another share than it should."""
    assert WITHIN == pytest.approx([norm.cdf(n) - norm.cdf(-n) for n in (1, 2)], abs=1e-3)


def test_known_standard_deviations_are_recovered():
    """Broken if the map had a wrong scale, or lost what the score tells beside the spread."""
    spread, scores, errors, _ = joints(20000, 0)
    calibration = SpreadCalibration(
        dict(version=VERSION, tables=[fit_table(spread, scores, errors, 10, 4)])
    )
    spread, scores, errors, stds = joints(5000, 1)
    ours = calibration(spread, scores, 10, 4)
    assert np.median(np.abs(np.log(ours / stds))) < 0.06
    for share, wanted in zip(coverage(errors, ours), WITHIN):
        assert abs(share - wanted) < 0.01


def test_long_tails_are_met_on_other_joints_and_in_the_group():
    """Broken if a tail were fitted for all joints alone, at the cost of the occluded ones."""
    groups = lambda scores: dict(occluded=scores < 0.3)  # noqa: E731
    spread, scores, errors, _ = joints(20000, 2, tails=0.05)
    table = fit_table(spread, scores, errors, 10, 4, groups(scores))
    calibration = SpreadCalibration(dict(version=VERSION, tables=[table]))
    spread, scores, errors, _ = joints(20000, 3, tails=0.05)
    ours = calibration(spread, scores, 10, 4)
    for part in (np.ones(len(scores), bool), groups(scores)['occluded']):
        for share, wanted in zip(coverage(errors[part], ours[part]), WITHIN):
            assert abs(share - wanted) < 0.03


def test_more_spread_or_less_score_is_never_a_smaller_error():
    """Broken if the map were not monotone: a surer joint would be given the larger error."""
    spread, scores, errors, _ = joints(4000, 4)
    table = fit_table(spread, scores, errors, 5, 1)
    assert min(table['weights']) >= 0
    assert (np.diff(table['stds']) >= 0).all() and (np.diff(table['inputs']) > 0).all()
    calibration = SpreadCalibration(dict(version=VERSION, tables=[table]))
    sure = calibration(spread, scores, 5, 1)
    assert (calibration(spread * 1.5, scores, 5, 1) >= sure).all()
    assert (calibration(spread, scores - 0.1, 5, 1) >= sure).all()


def test_fewer_hypotheses_do_not_look_surer():
    """Broken if the spread of few hypotheses, too small on average, were taken as it is."""
    rng = np.random.default_rng(5)
    spread, scores, errors, stds = joints(20000, 6)
    table = fit_table(spread, scores, errors, 10, 4)
    calibration = SpreadCalibration(dict(version=VERSION, tables=[table]))
    drawn = rng.normal(size=(2000, 4, 1, 2)) * 2
    variance = drawn.std(1) ** 2 * 4 / 3
    assert np.mean(variance) == pytest.approx(4, rel=0.05)
    four = calibration(np.full((1, 2), 2 * np.sqrt(3 / 4)), np.full(1, 0.5), 4, 4)
    many = calibration(np.full((1, 2), 2.0), np.full(1, 0.5), 100000, 4)
    np.testing.assert_allclose(four, many, rtol=1e-3)


@pytest.mark.parametrize(
    'case, match',
    [('few', 'too few'), ('one', '2 hypotheses'), ('nan', 'finite')],
)
def test_what_cannot_be_fitted_is_refused(case, match):
    """Broken if a handful of joints, or NaN, made a table that looks like any other."""
    spread, scores, errors, _ = joints(50 if case == 'few' else 500, 7)
    if case == 'nan':
        errors[0, 0] = np.nan
    with pytest.raises(ValueError, match=match):
        fit_table(spread, scores, errors, 1 if case == 'one' else 10, 4)
