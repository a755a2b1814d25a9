"""projects/reliability/broken_data.py: what it damages is what the report of an epoch names."""

import importlib.util
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate, worker_init_fn
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from diffpose_mm.datasets import PoseTrack18ClipDataset
from diffpose_mm.engine import ClipStatsHook

SCRIPT = Path(__file__).resolve().parents[2] / 'projects/reliability/broken_data.py'


@pytest.fixture(scope='module')
def script():
    spec = importlib.util.spec_from_file_location('broken_data', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('workers', [0, 2])
def test_every_damaged_file_is_named_with_its_kind(
    script, workers, tiny_posetrack, tmp_path, caplog, monkeypatch
):
    """Broken if what a worker met stays in that worker, or kinds are mixed up."""
    init_default_scope('mmpose')
    root = tmp_path / 'data'
    shutil.copytree(tiny_posetrack, root)
    monkeypatch.setattr(
        script, 'SHARES', dict(truncated=0.2, overwritten=0.2, empty=0.2, missing=0.2)
    )
    videos = sorted((root / 'images/train').iterdir())
    gap = script.let_numbers_jump(root, 'train', videos[1].name)
    paths = sorted(videos[0].glob('*.jpg'))
    made = script.damage_shares(paths[:2], np.random.default_rng(0))
    # Three frames, numbered 0 8 9: two frames on from 0, and two back from 9, there is none.
    made |= {path: 'jump' for path in gap if path.endswith(('000002.jpg', '000006.jpg'))}
    made |= {path: 'jump' for path in gap if path.endswith('000007.jpg')}
    pipeline = [
        dict(type='LoadClip'), dict(type='GetBBoxCenterScale'),
        dict(type='TopdownAffine', input_size=(24, 32)), dict(type='PackClipInputs'),
    ]  # fmt: skip
    dataset = PoseTrack18ClipDataset(
        ann_file='annotations/posetrack18_train.json', data_root=str(root), pipeline=pipeline,
        frame_offsets=(-2, 0, 2),
    )  # fmt: skip
    loader = DataLoader(
        dataset, batch_size=2, num_workers=workers, collate_fn=pseudo_collate,
        worker_init_fn=lambda worker: worker_init_fn(worker, workers, 0, 0),
    )  # fmt: skip
    hook = ClipStatsHook()
    runner = SimpleNamespace(logger=logging.getLogger('broken'), log_dir=str(tmp_path))
    for index, batch in enumerate(loader):
        hook.after_train_iter(runner, index, batch)
    with caplog.at_level(logging.INFO, 'broken'):
        hook.after_train_epoch(runner)
    (tmp_path / '1').mkdir()
    (tmp_path / 'frames_train.txt').rename(tmp_path / '1/frames_train.txt')
    assert script.named(tmp_path, 'train') == made
    assert f'{len(made)} files so far' in caplog.messages[0]
    assert 'samples given up for their keyframe' in caplog.messages[0]


def test_a_difference_is_a_failure(script, capsys):
    check = script.Checks()
    script.compare(check, 'same', dict(a='empty'), dict(a='empty'))
    assert check.failed == 0
    script.compare(check, 'kind', dict(a='empty'), dict(a='missing'))
    script.compare(check, 'less', {}, dict(a='missing'))
    script.compare(check, 'more', dict(a='missing'), {})
    assert check.failed == 3 and capsys.readouterr().out.count('FAILED') == 3
