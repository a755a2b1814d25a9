"""A checkpoint's calibration reaches the head, and the lack of one too."""

from types import SimpleNamespace

import pytest

from diffpose_mm.loading import CheckpointError
from diffpose_mm.loading.calibration import take_calibration

TABLE = dict(sampling_steps=4, weights=[1.0, 0.0], inputs=[0.0, 1.0], lengths=[1.0, 2.0])
FITTED = dict(version=1, tables=[TABLE])


def test_it_is_taken_and_given_up_with_the_weights():
    """Broken if weights without a calibration kept that of the weights before them."""
    model = SimpleNamespace(head=SimpleNamespace(spread_calibration=None))
    take_calibration(model, dict(meta=dict(spread_calibration=FITTED)), 'a.pth')
    assert model.head.spread_calibration.tables == [TABLE]
    take_calibration(model, dict(state_dict={}), 'b.pth')
    assert model.head.spread_calibration is None


def test_a_head_without_hypotheses_is_left_alone():
    """Broken if a single-frame baseline could not be loaded beside it."""
    model = SimpleNamespace(head=SimpleNamespace())
    take_calibration(model, dict(meta=dict(spread_calibration=FITTED)), 'a.pth')
    assert not vars(model.head)


@pytest.mark.parametrize('fitted', [dict(version=9), 'broken', dict(version=1, tables=[{}])])
def test_a_broken_one_names_the_checkpoint(fitted):
    """Broken if the error did not say which file it is about."""
    model = SimpleNamespace(head=SimpleNamespace(spread_calibration=None))
    with pytest.raises(CheckpointError, match='a.pth'):
        take_calibration(model, dict(meta=dict(spread_calibration=fitted)), 'a.pth')
