"""Training that can be killed at any moment and, resumed, ends with the very same weights.

mmengine stores no state of the random number generators, and its workers know no epoch. Here
nothing needs to be stored: what is drawn follows from the seed and the place in the training, and
is the same whether the process is new or old.
"""

import random
import signal
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import worker_init_fn
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpose.registry import LOOPS
from torch.utils.data import DataLoader

from ..datasets.samplers import ClipBlockSampler
from .frozen_backbone import KeptFeaturesCheck, check_frozen

DATA, MODEL = range(2)
# Message-hub keys that record the progress of a training; they are saved with checkpoints.
DONE, VALIDATED = 'batches_done', 'epoch_validated'


def seed_everything(*place: int) -> None:
    """Seed the generators of Python, numpy and torch (all devices) from some numbers."""
    words = np.random.SeedSequence(place).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.manual_seed(int(words[2]) << 32 | int(words[3]))


def ignore_interrupts(worker_id: int) -> None:
    """Leave Ctrl-C to the main process, which then ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """mmengine's loop over epochs, resumed to the bit.

    There are two streams of random numbers. That of the data (augmentation, and the seeds of the
    workers) starts anew with every epoch, as the workers do, ``persistent_workers`` or not. That of
    the model (noise, steps, dropout) starts anew with every iteration.

    A checkpoint from the middle of an epoch (``CheckpointHook`` with ``by_epoch=False``) is good as
    well: the samples of the epoch that were seen are read again, not trained on again. A validation
    during which the process was killed is made up for.

    A :class:`ClipBlockSampler` is given ``batch_size`` and ``num_workers`` of its loader.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): Of the frames.
        *args, **kwargs: Those of mmengine's loop.
        features (str, optional): Folder of the features that ``cache_features`` kept of the
            training data, which then take the place of frames. Defaults to None.

    Raises:
        FeatureCacheError: The features do not fit the data, or the backbone is trained.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        *args: Any,
        features: str | None = None,
        **kwargs: Any,
    ) -> None:
        if features is not None:
            check_frozen(runner.model)
            kept = dict(type='KeptFeatures', folder=features, dataset=dataloader['dataset'])
            dataloader = {**dataloader, 'dataset': kept}
        super().__init__(runner, dataloader, *args, **kwargs)
        self._kept = None if features is None else KeptFeaturesCheck(self.dataloader.dataset)
        # mmengine's gives numpy the same seed in every epoch; PyTorch's own seeds do not.
        if getattr(self.dataloader.worker_init_fn, 'func', None) is worker_init_fn:
            self.dataloader.worker_init_fn = ignore_interrupts
        self._built_with = self.runner.seed
        sampler = self.dataloader.sampler
        if isinstance(sampler, ClipBlockSampler):
            # So that the cache of a worker serves a whole batch.
            sampler.batch_size = self.dataloader.batch_size
            sampler.num_workers = self.dataloader.num_workers

    def run(self) -> torch.nn.Module:
        """Train, from where the checkpoint ends if one was resumed."""
        # A checkpoint brings its seed along, after the sampler was given that of this process.
        sampler = self.dataloader.sampler
        if getattr(sampler, 'seed', None) == self._built_with:
            sampler.seed = self.runner.seed
        if self._kept is not None:
            loaded = bool(self.runner._load_from or self.runner._resume)
            self._kept.prepare(self.runner.model, loaded)
        self.runner.call_hook('before_train')
        if self._epoch > 0:
            self._validate_if_due()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_if_due()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Train for an epoch, or for what is left of it."""
        hub = self.runner.message_hub
        done = hub.get_info(DONE, 0)
        seed_everything(self.runner.seed, self.runner.rank, DATA, self._epoch)
        # Workers that persist would carry their generators over from the epoch before.
        self.dataloader._iterator = None
        if self._kept is not None:
            self.dataloader.dataset.set_epoch(self._epoch)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if done:
            print_log(f'Skipping {done} batches of this epoch: already trained on', 'current')
        if done < len(self.dataloader):
            for index, batch in enumerate(self.dataloader):
                if index >= done:
                    self.run_iter(index, batch)
        hub.update_info(DONE, 0)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Train on a batch; the data's random numbers are left as they were."""
        # Before the hooks that may save a checkpoint after this batch.
        self.runner.message_hub.update_info(DONE, idx + 1)
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        # Same seed on every rank: the head draws for the global batch and takes its rank's part.
        seed_everything(self.runner.seed, 0, MODEL, self._iter)
        super().run_iter(idx, data_batch)
        for restore, state in zip(
            (random.setstate, np.random.set_state, torch.set_rng_state), states
        ):
            restore(state)

    def _validate_if_due(self) -> None:
        """Validate after this epoch unless the checkpoint says that it was done."""
        self._decide_current_val_interval()
        last = self._epoch == self._max_epochs
        if self.runner.val_loop is None or self._epoch < self.val_begin:
            return
        if self._epoch % self.val_interval and not last:
            return
        hub = self.runner.message_hub
        if hub.get_info(VALIDATED, 0) != self._epoch:
            # Saved with the checkpoint that follows a new best metric.
            hub.update_info(VALIDATED, self._epoch)
            self.runner.val_loop.run()
