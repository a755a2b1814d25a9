"""projects/benchmark/precision_ap.py: distances and AP of its rows, and what they are told by."""

from types import SimpleNamespace

import numpy as np
import pytest
from benchmark_scripts import load_script
from mmengine.config import Config
from mmengine.structures import InstanceData

from diffpose_mm.apis import precision
from diffpose_mm.engine.launch import set_data_root
from diffpose_mm.synthetic import synthesize
from diffpose_mm.tools import test as test_tool


@pytest.fixture(scope='module')
def study():
    return load_script('precision_ap')


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('precision') / 'data'
    synthesize(root, train_videos=0, val_videos=1, frames=4, seed=8, difficulty='easy')
    return root


def sample(points, scale):
    """Of one person whose box was scaled to 48 x 64 input pixels."""
    found = SimpleNamespace(
        pred_instances=InstanceData(keypoints=np.float32(points)[None]),
        metainfo=dict(input_size=(48, 64), input_scale=np.float32(scale)),
    )
    found.set_metainfo = lambda info: None
    found.to_dict = dict
    return found


def test_distances_are_in_input_pixels(study):
    """Broken if how far a joint moves were told in pixels of the video, where people differ."""
    metric = SimpleNamespace(process=lambda *a: None)
    before = [sample([[10, 10], [20, 20]], (94, 126))]
    row = study.Row(lambda jobs, reference: [sample([[12, 10], [20, 24]], (94, 126))], metric)
    row.take([0], [dict(id=0, img_id=0)], before)
    np.testing.assert_allclose(row.distances, [[1.0, 2.0]])


def test_a_row_says_its_share_of_jumps(study):
    """Broken if joints that went to another peak were hidden in a mean."""
    metric = SimpleNamespace(compute_metrics=lambda results: dict(AP=70.0), results=[])
    row = study.Row(None, metric)
    row.distances = [np.array([0.0, 0.0, 0.5]), np.array([0.5, 9.0])]
    found = study.summary('torch:bfloat16', row, jump=8.0)
    assert found['mean'] == pytest.approx(2.0) and found['median'] == pytest.approx(0.5)
    assert found['jumps'] == pytest.approx(0.2)
    text = study.table([dict(row='torch:float32', AP=71.5), found])
    assert '| torch:bfloat16 | 70.00 | -1.50 | 2.000 | 0.500 |' in text and '20.00 %' in text


def test_the_reference_has_the_ap_of_the_test_tool(study, data_root, tmp_path):
    """Broken if what the number formats are compared by were not what `test` measures."""
    cfg = Config.fromfile(study.DEMO)
    set_data_root(cfg, str(data_root))
    (reference,) = study.measure(cfg, study.DEMO_WEIGHTS, [])
    metrics = test_tool.main(
        [str(study.DEMO), str(study.DEMO_WEIGHTS)]
        + ['--data-root', str(data_root), '--work-dir', str(tmp_path)]
    )
    # Its noise is that of other numbers of annotations.
    assert reference['AP'] == pytest.approx(metrics['posetrack/AP'], abs=1.0)
    assert reference['AP'] > 30 and 'mean' not in reference


def test_bfloat16_moves_joints_a_little(study, data_root, monkeypatch):
    """Broken if a row were posed in another format than it says."""
    # torch computes in bfloat16 on any processor, slowly where that has none.
    monkeypatch.setattr(precision, 'has_bfloat16', lambda: True)
    cfg = Config.fromfile(study.DEMO)
    set_data_root(cfg, str(data_root))
    _, row = study.measure(cfg, study.DEMO_WEIGHTS, ['torch:bfloat16'], videos=1)
    assert 0 < row['median'] < 0.5
