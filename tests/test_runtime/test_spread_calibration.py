"""The map from spread to standard deviation, as it stands in a checkpoint or a manifest."""

import copy
import math

import numpy as np
import pytest

from diffpose_mm_runtime.spread_calibration import SpreadCalibration, spread_identity

TABLE = dict(sampling_steps=4, weights=[1.0, 2.0], inputs=[-3.0, 0.0, 2.0], lengths=[1.0, 2.0, 6.0])
FITTED = dict(version=1, tables=[TABLE, dict(TABLE, sampling_steps=1, lengths=[5.0, 5.0, 7.0])])


def test_by_hand():
    """Broken if the input of the map, its line or its ends were others than at the fit."""
    spread, scores, number = np.array([[[0.95, 0.45]]]), np.array([[0.5]]), 10
    wide = math.sqrt(10 / 9)
    x, y = 0.95 * wide + 0.05, 0.45 * wide + 0.05
    length = np.interp(math.log(math.hypot(x, y)) - 1, TABLE['inputs'], TABLE['lengths'])
    ours = SpreadCalibration(FITTED)(spread, scores, number, 4)
    assert ours.shape == (1, 1, 2) and ours.dtype == np.float32
    expected = [x * length / math.hypot(x, y), y * length / math.hypot(x, y)]
    np.testing.assert_allclose(ours[0, 0], expected, rtol=1e-6)
    # Level beyond the ends.
    ends = SpreadCalibration(FITTED)(np.array([[[0.0, 0.0], [1e9, 0.0]]]), np.ones((1, 2)), 2, 4)
    np.testing.assert_allclose(np.linalg.norm(ends[0], axis=-1), [1, 6], rtol=1e-6)


@pytest.mark.parametrize('steps, fitted_for', [(1, 1), (2, 1), (3, 4), (4, 4), (50, 4)])
def test_the_nearest_number_of_steps_counts(steps, fitted_for):
    """Broken if a setting that was not fitted took the table of a far one."""
    assert SpreadCalibration(FITTED).table(steps)['sampling_steps'] == fitted_for


@pytest.mark.parametrize(
    'change, match',
    [
        (dict(version=2), 'version 2'),
        (dict(tables=[]), 'no tables'),
        (dict(tables=[dict(TABLE, lengths=[3.0, 2.0, 6.0])]), 'rising'),
        (dict(tables=[dict(TABLE, inputs=[0.0, 0.0, 2.0])]), 'rising'),
        (dict(tables=[dict(TABLE, weights=[1.0, -1.0])]), 'weights'),
        (dict(tables=[{k: v for k, v in TABLE.items() if k != 'lengths'}]), 'lacks lengths'),
    ],
)
def test_a_broken_one_is_refused(change, match):
    """Broken if a damaged or newer calibration gave standard deviations that nobody fitted."""
    with pytest.raises(ValueError, match=match) as error:
        SpreadCalibration({**copy.deepcopy(FITTED), **change})
    assert 'diffpose_mm calibrate' in str(error.value)


def test_what_a_file_says_of_its_spread():
    """Broken if nobody could tell from the predictions whether their spread is a length."""
    assert spread_identity(1, None) == {}
    assert spread_identity(4, None) == dict(keypoint_std='spread of hypotheses')
    assert spread_identity(4, SpreadCalibration(FITTED)) == dict(keypoint_std='calibrated')
