"""A training that goes on from another run's checkpoint leaves that run's folder as it is."""

import os

import pytest
from test_checkpoint_hook import SmallRunner, epoch_of, train

from diffpose_mm.engine import AtomicCheckpointHook


def go_on(first, second, epoch=2):
    """One more epoch, better than all before, in another folder than the epochs before."""
    hook = AtomicCheckpointHook(interval=1, save_best='AP', rule='greater', max_keep_ckpts=1)
    runner = SmallRunner(second)
    runner.epoch, runner.iter = epoch, 10 * epoch
    for name, value in (
        ('best_score', 2.0),
        ('best_ckpt', str(first / 'best_AP_epoch_2.pth')),
        ('keep_ckpt_ids', [epoch]),
    ):
        runner.message_hub.update_info(name, value)
    hook.before_train(runner)
    hook.after_train_epoch(runner)
    runner.epoch += 1
    hook.after_val_epoch(runner, dict(AP=9.0))


def test_best_checkpoint_of_another_run_is_not_removed(tmp_path):
    """Broken if a new best one cost the run that was resumed from its own."""
    first, second = tmp_path / 'first', tmp_path / 'second'
    first.mkdir()
    second.mkdir()
    train(first, epochs=2)
    before = {name: (first / name).read_bytes() for name in os.listdir(first)}
    go_on(first, second)
    assert {name: (first / name).read_bytes() for name in os.listdir(first)} == before
    assert epoch_of(second / 'best_AP_epoch_3.pth') == 3


@pytest.mark.parametrize('moved', [False, True])
def test_best_checkpoint_of_the_same_run_is_replaced(moved, tmp_path):
    """Broken if old best ones piled up, also in a folder that was moved between."""
    first = tmp_path / 'first'
    first.mkdir()
    train(first, epochs=2)
    here = first.rename(tmp_path / 'moved') if moved else first
    go_on(first, here)
    assert [path.name for path in here.glob('best_*')] == ['best_AP_epoch_3.pth']
