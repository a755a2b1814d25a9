"""The calibration of the spread: recovered from errors of known size, and met on other data."""

import numpy as np
import pytest

from diffpose_mm.evaluation.spread_calibration_fit import WITHIN, coverage, fit_table
from diffpose_mm_runtime.spread_calibration import VERSION, SpreadCalibration, calibration_input


def joints(count, seed, factor=3.0, tails=0.0):
    """Spreads, scores and errors that are Rayleigh, with lengths that are a known function."""
    rng = np.random.default_rng(seed)
    spread = np.exp(rng.uniform(-1, 2, (count, 2)))
    scores = rng.uniform(0.1, 1, count)
    lengths = factor * np.linalg.norm(spread + 0.05, axis=1) ** 0.8 * np.exp(0.5 - scores)
    # The length that holds 68 % of a Rayleigh distribution is 1.51 of its sigma.
    errors = (lengths / np.sqrt(-2 * np.log(0.32)))[:, None] * rng.normal(size=(count, 2))
    errors[rng.uniform(size=count) < tails] *= 4
    return spread, scores, errors, lengths


def test_known_lengths_are_recovered():
    """Broken if the map had a wrong scale, or lost what the score tells beside the spread."""
    spread, scores, errors, _ = joints(20000, 0)
    # As many hypotheses as leave the spread as it is.
    table = fit_table(spread, scores, errors, 10**6, 4)
    spread, scores, errors, lengths = joints(5000, 1)
    at = calibration_input(spread, scores, 10**6, table['weights'])
    middle = np.interp(at, table['inputs'], table['lengths'])
    # Where the tails are shorter than the two shares ask for, both are missed by as little.
    assert np.std(np.log(middle / lengths)) < 0.07
    assert abs(np.median(np.log(middle / lengths))) < 0.1
    ours = SpreadCalibration(dict(version=VERSION, tables=[table]))(spread, scores, 10**6, 4)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), middle, rtol=1e-5)
    # Rayleigh errors have 99 % within two where 68 % are within one, so neither can be met.
    for share, wanted in zip(coverage(errors, ours), WITHIN):
        assert abs(share - wanted) < 0.042


def test_shares_are_counted_by_distance():
    """Broken if a joint counted as within its spread by x or y alone."""
    spread = np.array([[3.0, 4.0]] * 4)
    errors = np.array([[5.0, 0.0], [3.6, 3.6], [0.0, -9.9], [8.0, 8.0]])
    assert coverage(errors, spread) == (0.25, 0.75)


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
    assert (np.diff(table['lengths']) >= 0).all() and (np.diff(table['inputs']) > 0).all()
    calibration = SpreadCalibration(dict(version=VERSION, tables=[table]))

    def lengths(spread, scores):
        return np.linalg.norm(calibration(spread, scores, 5, 1), axis=1) * (1 + 1e-6)

    sure = lengths(spread, scores) / (1 + 1e-6)
    assert (lengths(spread * 1.5, scores) >= sure).all()
    assert (lengths(spread, scores - 0.1) >= sure).all()


def test_fewer_hypotheses_do_not_look_surer():
    """Broken if the spread of few hypotheses, too small on average, were taken as it is."""
    rng = np.random.default_rng(5)
    spread, scores, errors, _ = joints(20000, 6)
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
