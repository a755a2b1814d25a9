"""Stop training at a loss that is NaN or infinite, before it reaches the weights."""

import json
import os.path as osp
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import HOOKS

SAMPLE_FIELDS = ('img_path', 'frame_id', 'id', 'img_id', 'track_id', 'clip_paths')


class NonFiniteError(RuntimeError):
    """A loss or a weight is NaN or infinite."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Raise when a loss is NaN or infinite, and name the samples of the batch.

    The loss is looked at before it is scaled and before the optimiser steps, so that the infinite
    gradients of float16, which are skipped, stop nothing and the weights stay as they were. A
    checkpoint with such weights, from a gradient that was not finite, is not written.
    """

    # After EMAHook, which adds the averaged weights to a checkpoint.
    priority = 'LOW'

    def before_train(self, runner: Runner) -> None:
        """Register a forward hook that checks the losses of every iteration."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._batch: Mapping = {}

        @torch.no_grad()
        def check(module: torch.nn.Module, inputs: tuple, outputs: Any) -> None:
            if module.training and isinstance(outputs, Mapping):
                loss, parts = module.parse_losses(outputs)
                if not loss.isfinite():
                    self._stop(runner, {name: float(value) for name, value in parts.items()})

        self._handle = model.register_forward_hook(check)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Keep the batch, to name its samples."""
        self._batch = data_batch or {}

    def after_train(self, runner: Runner) -> None:
        """Remove the forward hook."""
        self._handle.remove()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse weights that are NaN or infinite.

        Raises:
            NonFiniteError: Naming the first of them.
        """
        for state in ('state_dict', 'ema_state_dict'):
            for name, value in checkpoint.get(state, {}).items():
                if not value.isfinite().all():
                    raise NonFiniteError(
                        f'the weights {name} are not finite after iteration {runner.iter}, though '
                        'the loss was: no checkpoint is written. A lower learning rate, or '
                        'optim_wrapper.clip_grad, may help'
                    )

    def _stop(self, runner: Runner, losses: dict[str, float]) -> None:
        """Write the samples to a file and raise."""
        iteration, epoch = runner.iter + 1, runner.epoch + 1
        samples = [
            {field: sample.metainfo[field] for field in SAMPLE_FIELDS if field in sample.metainfo}
            for sample in self._batch.get('data_samples', ())
        ]
        path = osp.join(runner.log_dir, f'nonfinite_iter_{iteration}_rank_{runner.rank}.json')
        with open(path, 'w', encoding='utf-8') as file:
            report = dict(iteration=iteration, epoch=epoch, losses=losses, samples=samples)
            json.dump(report, file, indent=2, default=str)
        found = ', '.join(f'{name}={value}' for name, value in losses.items())
        raise NonFiniteError(
            f'the loss of iteration {iteration} (epoch {epoch}) is not finite: {found}. The '
            f'weights are as they were before it. The {len(samples)} samples of the batch are '
            f'listed in {path}'
        )
