"""projects/smoothing: what its tables count, on predictions made by hand."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / 'projects/smoothing'


@pytest.fixture
def study():
    """The modules of the study, which lie beside each other and not in a package."""
    before = list(sys.path)
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in ('posing', 'scoring')}
    finally:
        sys.path[:] = before
        for name in ('posing', 'scoring'):
            sys.modules.pop(name, None)


def one_video(study, errors):
    """(predictions, truth) of a still person of four joints whose joints are off to the right."""
    count = len(errors)
    points = np.zeros((count, 4, 2)) + np.arange(4)[:, None] * 20.0
    off = points.copy()
    off[..., 0] += errors
    occluded = np.zeros((count, 4), bool)
    occluded[:, 3] = True
    truth = study['posing'].Truth(
        np.arange(count), points, np.ones((count, 4), bool), occluded, np.full(count, 100.0)
    )
    predictions = [
        dict(frame_id=t, instances=[dict(track_id=5, keypoints=off[t].tolist())])
        for t in range(count)
    ]
    return predictions, {5: truth}


def test_figures_by_hand(study):
    """Broken if hits had another threshold, or lengths were of something else than truth."""
    errors = np.zeros((4, 4))
    errors[:, 0], errors[:, 3], errors[1, 1] = 9.9, 10.1, 6.0
    found = study['scoring'].score([one_video(study, errors)])
    assert found['PCK'] == 75 and found['occluded'] == 0 and found['clear'] == 100
    assert found['error'] == pytest.approx((4 * 9.9 + 4 * 10.1 + 6) / 16)
    assert found['MPJVE'] == pytest.approx((6 + 6) / (3 * 4))
    assert found['MPJAE'] == found['jitter'] == pytest.approx((12 + 6) / (2 * 4))


def test_a_person_who_is_not_found_is_a_miss(study):
    """Broken if leaving people out made a smoother look better."""
    predictions, truth = one_video(study, np.zeros((4, 4)))
    predictions[3]['instances'] = []
    found = study['scoring'].score([(predictions, truth)])
    assert found['PCK'] == 75 and found['error'] == 0
