"""projects/benchmark/kept_features*.py: what the tables say is what was measured."""

import importlib
import json
import sys
from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

from diffpose_mm.configs import read_config
from diffpose_mm.engine.launch import set_data_root

FOLDER = Path(__file__).resolve().parents[2] / 'projects/benchmark'


@pytest.fixture
def script(monkeypatch):
    """Imports a script of the folder; as when it is run, the modules beside it are found."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ('timing', 'kept_features', 'kept_features_ap'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module
    for name in ('timing', 'kept_features', 'kept_features_ap'):
        sys.modules.pop(name, None)


def test_ratios_are_of_samples_and_taken_within_a_round(script):
    """Broken if a slow round counts for one side, or more seconds are more samples."""
    speed = script('kept_features')
    result = {
        speed.FRAMES: dict(wall=[4.0, 40.0, 4.0], cpu=[4.0, 4.0, 4.0]),
        speed.FROZEN: dict(wall=[2.0, 20.0, 2.0], cpu=[2.0, 2.0, 2.0]),
        speed.KEPT: dict(wall=[1.0, 10.0, 1.0], cpu=[0.5, 0.5, 0.5]),
        'cache': dict(bytes=2000, seconds=0.25),
    }
    text = speed.table(result, 16)
    assert '| frames | 4.00 | 4.00 | 1.00 | 1.00 |' in text
    assert '| kept features | 16.00 | 32.00 | 4.00 | 8.00 |' in text
    assert '2,000 bytes a sample and view, written at 4.0 samples/s' in text


def test_the_three_are_measured(script, tiny_posetrack, tmp_path):
    """Broken if one of the three ways of training does not run."""
    init_default_scope('mmpose')
    speed = script('kept_features')
    cfg = read_config('diffpose_synthetic')
    set_data_root(cfg, str(tiny_posetrack))
    found = speed.measure(cfg, None, batch=2, samples=2, steps=1, rounds=1)
    for name in (speed.FRAMES, speed.FROZEN, speed.KEPT):
        assert found[name]['wall'][0] > 0 and found[name]['cpu'][0] > 0
    assert found['cache']['bytes'] == 3 * 128 * 8 * 6 * 2


def test_seconds_of_training_count_every_step(script, tmp_path):
    """Broken if a log at every n-th step counts one step of n, or validation counts."""
    log = tmp_path / '2026/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    lines = [
        dict(loss=1.0, time=2.0, iter=1),
        dict(loss=1.0, time=0.5, iter=11),
        {'posetrack/AP': 3.0, 'time': 99.0, 'iter': 11},
    ]
    log.write_text('\n'.join(map(json.dumps, lines)))
    assert script('kept_features_ap').seconds_of_training(tmp_path) == 2.0 + 10 * 0.5
