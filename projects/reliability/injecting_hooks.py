"""Hooks that break a training from within; faults.py puts them into a config."""

import os
import os.path as osp
import resource
import signal
import sys
from pathlib import Path

from mmengine.hooks import Hook
from mmpose.registry import HOOKS


@HOOKS.register_module()
class NaNTarget(Hook):
    """Put a NaN into a target of the second iteration of an epoch, counted from 1."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.epoch + 1 == self.epoch and batch_idx == 1:
            data_batch['data_samples'][0].gt_fields.heatmaps[0, 0, 0] = float('nan')


@HOOKS.register_module()
class KillWhileSaving(Hook):
    """SIGKILL at a file operation (open, move, remove) of checkpoints, counted from the start.

    Operation 0 is in the middle of writing: the system ends the process at the byte that is half of
    the previous checkpoint's size.
    """

    priority = 'HIGHEST'

    def __init__(self, operation: int) -> None:
        self.operation = operation
        self.count = 0

    def after_train_epoch(self, runner):
        if self.operation == 0:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            newest = max(Path(runner.work_dir).glob('epoch_*.pth'), key=osp.getmtime)
            resource.setrlimit(resource.RLIMIT_FSIZE, (newest.stat().st_size // 2,) * 2)
        elif not self.count:
            sys.addaudithook(self.audit)

    def audit(self, event, arguments):
        if event in ('open', 'os.rename', 'os.remove') and str(arguments[0]).endswith(
            ('.pth', '.part', 'last_checkpoint')
        ):
            self.count += 1
            if self.count == self.operation:
                os.kill(os.getpid(), signal.SIGKILL)
