"""A training that was killed and resumed ends with the very same weights."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from torch.utils.data import DataLoader, Dataset

from diffpose_mm.datasets.samplers import ClipBlockSampler
from diffpose_mm.engine import ResumableTrainLoop

EPOCHS, BATCHES = 4, 5


def draws():
    """One number of every generator that anything here may use."""
    return random.random(), float(np.random.rand()), float(torch.rand(()))


class Samples(Dataset):
    """A sample is its index and what augmentation would draw."""

    def __len__(self):
        return 2 * BATCHES

    def __getitem__(self, index):
        return torch.tensor([index, *draws()], dtype=torch.float64)


class KilledError(Exception):
    """Stands for the end of the process."""


class SmallRunner:
    """Notes which data and which noise every iteration saw."""

    seed, val_interval = 3, 2
    model = SimpleNamespace(train=lambda: None)
    optim_wrapper = None

    def __init__(self, seen, workers, hub, kill_at=-1, rank=0):
        self.rank = rank
        self.seen, self.message_hub, self.kill_at = seen, MessageHub('test'), kill_at
        self.message_hub._runtime_info.update(hub)
        self.visualizer = SimpleNamespace()
        self.model.train_step = lambda batch, optim_wrapper: dict(
            batch=batch.tolist(), noise=draws()
        )
        self.val_loop = SimpleNamespace(run=self.validate)
        data = DataLoader(
            Samples(), 2, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        self.loop = ResumableTrainLoop(self, data, EPOCHS, val_interval=2)

    def validate(self):
        self.seen.setdefault('val', []).append(self.loop.epoch)
        draws()

    def call_hook(self, name, outputs=None, **kwargs):
        if name == 'after_train_iter':
            self.seen[self.loop.iter] = outputs
            self.checkpoint = (
                self.loop.epoch,
                self.loop.iter + 1,
                dict(self.message_hub.runtime_info),
            )
            if self.loop.iter == self.kill_at:
                raise KilledError


def run(workers, *kill_at):
    """What was seen until the end, with a new loop after every kill."""
    seen, state = {}, (0, 0, {})
    for moment in (*kill_at, -1):
        # A new process has drawn who knows what.
        torch.manual_seed(random.SystemRandom().randrange(2**32))
        np.random.seed(random.SystemRandom().randrange(2**32))
        runner = SmallRunner(seen, workers, state[2], moment)
        runner.loop._epoch, runner.loop._iter = state[:2]
        try:
            runner.loop.run()
        except KilledError:
            state = runner.checkpoint
    return seen


@pytest.mark.parametrize('workers', [0, 2])
def test_data_and_noise_do_not_depend_on_kills(workers):
    """Broken if a resumed run, also from amid an epoch, draws other numbers or skips a batch."""
    whole = run(workers)
    assert set(whole) == {*range(EPOCHS * BATCHES), 'val'} and whole['val'] == [2, 4]
    # Amid an epoch, at its end, at once again.
    assert run(workers, 6, 9, 9 + 1, 17) == whole
    augmentation = {sample[1] for i in range(20) for sample in whole[i]['batch']}
    noise = {draw for i in range(20) for draw in whole[i]['noise']}
    assert len(augmentation) == 2 * BATCHES * EPOCHS and len(noise) == 3 * 20


def test_processes_augment_differently_and_share_the_noise():
    """Broken if two GPUs see the same augmentation, or the head cannot deal its draws to them."""
    runs = []
    for rank in range(2):
        runs.append({})
        SmallRunner(runs[rank], 0, {}, rank=rank).loop.run()
    first, second = ([run[i] for i in range(EPOCHS * BATCHES)] for run in runs)
    assert [x['noise'] for x in first] == [x['noise'] for x in second]
    augmentation = [{sample[1] for x in run for sample in x['batch']} for run in (first, second)]
    assert not augmentation[0] & augmentation[1]


def test_a_validation_that_was_killed_is_made_up_for():
    """Broken if the best checkpoint is missed; or if a validation that is done is done again."""
    seen = {}
    for hub, times in (({}, 1), (dict(epoch_validated=2), 0)):
        seen.clear()
        runner = SmallRunner(seen, 0, hub, kill_at=2 * BATCHES)
        runner.loop._epoch, runner.loop._iter = 2, 2 * BATCHES
        with pytest.raises(KilledError):
            runner.loop.run()
        assert seen.get('val', []) == [2] * times


def test_samples_come_in_the_order_of_a_resumed_seed():
    """Broken if a run without a seed of its own, resumed amid an epoch, skips other samples."""
    for given, expected in ((3, 11), (7, 7)):
        runner = SmallRunner({}, 0, {})
        runner.loop.dataloader.sampler.seed = given
        runner.seed = 11
        runner.loop.run()
        assert runner.loop.dataloader.sampler.seed == expected


class Clips(Samples):
    """Samples that know their videos, of eight frames each."""

    def clip_keys(self):
        return [(index // 8, index % 8) for index in range(len(self))]

    def __len__(self):
        return 32


@pytest.mark.parametrize('batch_size, workers', [(2, 2), (4, 1)])
def test_the_sampler_is_told_the_numbers_of_its_loader(batch_size, workers):
    """Broken if --cfg-options train_dataloader.batch_size left the sampler with another one."""
    data = Clips()
    sampler = ClipBlockSampler(data, batch_size=16, num_workers=4, seed=0)
    loader = DataLoader(data, batch_size, sampler=sampler, num_workers=workers)
    runner = SimpleNamespace(seed=0, visualizer=SimpleNamespace())
    loop = ResumableTrainLoop(runner, loader, 1)
    expected = ClipBlockSampler(data, batch_size=batch_size, num_workers=workers, seed=0)
    assert list(loop.dataloader.sampler) == list(expected)
