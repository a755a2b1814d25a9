"""Checkpoints that a kill, a power cut or a full disk leaves whole.

mmengine writes into the file itself, and removes the previous one before. Here a file appears under
its name when all of it is on the disk, and what it replaces goes afterwards.
"""

import copy
import logging
import os
import os.path as osp
import re
import shutil
from glob import escape, glob
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from ..loading import SCHEME, start
from .best_metric import check_metrics, check_prefixes, main_metric, rule_of
from .checkpoint import CheckpointError, read_checkpoint

PART = '.part'


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Local files that are either all there or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file beside ``filepath``, make sure of the disk, and move it there.

        Raises:
            OSError: It could not be written; ``filepath`` is as it was.
        """
        folder, part = osp.dirname(osp.abspath(filepath)), f'{filepath}{PART}'
        os.makedirs(folder, exist_ok=True)
        try:
            with open(part, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, filepath)
        except BaseException as error:
            Path(part).unlink(missing_ok=True)
            if isinstance(error, OSError):
                free = shutil.disk_usage(folder).free
                raise OSError(
                    f'{filepath} could not be written: {error.strerror or error} ({len(obj):,} '
                    f'bytes, {free:,} are free); what was there before is untouched'
                ) from error
            raise
        if os.name == 'posix':
            # The move itself is on the disk when the folder is.
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's hook, safe at every moment: there is always a whole checkpoint.

    ``last_checkpoint`` names a file that is complete, and old checkpoints, the best one included,
    are removed when the new ones are in place. Files that a kill left unfinished are removed at the
    next start.

    ``save_best='auto'`` is the main metric of the evaluator (AP, PCK, ...); mmengine takes the
    first, which for PoseTrack is that of the head. No best checkpoint is kept, with a warning, if
    no name tells which values are better. A metric that the validation does not give is refused by
    name, see :mod:`.best_metric`. ``rule`` may be left out for the usual metrics of poses.

    Raises:
        MetricError: ``save_best`` names a metric that there is not.
    """

    def _init_rule(self, rules: list[str | None], key_indicators: list[str]) -> None:
        rules = rules * len(key_indicators) if len(rules) == 1 else rules
        filled = [rule or rule_of(key) for rule, key in zip(rules, key_indicators)]
        super()._init_rule(filled, key_indicators)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare weights to start from with the model, unless one of our tools has done so.

        Fields of the config: ``allow_partial`` and ``reinit``, see :mod:`diffpose_mm.loading`.

        Raises:
            CheckpointError: They fill no part of the model, or one in part.
        """
        source = str(runner._load_from)
        if runner._resume or source.startswith(SCHEME) or 'state_dict' not in checkpoint:
            return
        wanted = {name: runner.cfg.get(name) or () for name in ('allow_partial', 'reinit')}
        checkpoint.update(start(runner.model, checkpoint, source, **wanted))

    def before_train(self, runner: Runner) -> None:
        """Prepare the folder."""
        local = '://' not in str(self.out_dir or '')
        if local and self.backend_args is None and self.file_client_args is None:
            self.backend_args = dict(backend='atomic')
        evaluator = getattr(getattr(runner, 'val_loop', None), 'evaluator', None)
        prefixes = [metric.prefix for metric in getattr(evaluator, 'metrics', ())]
        check_prefixes(self.save_best or [], prefixes)
        super().before_train(runner)
        # mmengine adds a new best metric to the checkpoint of this process only, if there is one.
        self.last_ckpt = runner.message_hub.runtime_info.get('last_ckpt')
        if local and is_main_process():
            parts = glob(osp.join(escape(self.out_dir), f'*.pth{PART}'))
            for part in [*parts, osp.join(runner.work_dir, f'last_checkpoint{PART}')]:
                Path(part).unlink(missing_ok=True)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        old = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                old.append(self.keep_ckpt_ids.popleft())
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        AtomicBackend().put(self.last_ckpt.encode(), osp.join(runner.work_dir, 'last_checkpoint'))
        for number in old:
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(number))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            found = main_metric(metrics, self.rules[0])
            if found is None:
                runner.logger.warning(
                    'No best checkpoint is kept: whether more is better is not known of '
                    f'{", ".join(metrics)}; set default_hooks.checkpoint.save_best and rule'
                )
                return
            # mmengine takes the first.
            metrics = {found: metrics[found], **metrics}
        else:
            check_metrics(self.key_indicators, metrics)
        # mmengine removes the previous best checkpoint first, wherever that is.
        backend, previous = self.file_backend, self._best_checkpoints()
        self.file_backend = copy.copy(backend)
        self.file_backend.remove = lambda path: None
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        best = self._best_checkpoints()
        for path in previous:
            # It may be of another run, from which this one was resumed; or this run's folder was
            # moved since.
            path = backend.join_path(self.out_dir, osp.basename(path))
            if path not in best and backend.isfile(path):
                backend.remove(path)

    def _best_checkpoints(self) -> set[str]:
        paths = {self.best_ckpt_path} if hasattr(self, 'best_ckpt_path') else set()
        return (paths | {*getattr(self, 'best_ckpt_path_dict', {}).values()}) - {None}


def newest_checkpoint(work_dir: str) -> str | None:
    """The newest checkpoint of a work directory that can be read.

    That is the one which ``last_checkpoint`` names, also where the directory was moved. If it
    cannot be read, the one before is taken, with a warning that names both.

    Args:
        work_dir: Where a training was or was not run.

    Returns:
        Its path; None if there is no checkpoint.

    Raises:
        CheckpointError: There are checkpoints, and none of them can be read; the message is of the
            newest.
    """
    named, folder = [], work_dir
    pointer = Path(work_dir, 'last_checkpoint')
    if pointer.is_file():
        path = pointer.read_text().strip()
        if path:
            moved = osp.join(work_dir, osp.basename(path))
            named = [path if osp.isfile(path) or not osp.isfile(moved) else moved]
            folder = osp.dirname(named[0])
    others = [
        path
        for path in glob(osp.join(escape(folder), '*.pth'))
        if re.fullmatch(r'(epoch|iter)_\d+\.pth', osp.basename(path))
    ]
    unread = None
    for path in dict.fromkeys(named + sorted(others, key=osp.getmtime, reverse=True)):
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            unread = unread or error
            continue
        if unread:
            print_log(f'{unread}. Training goes on from {path} instead', 'current', logging.WARNING)
        return path
    if unread:
        raise unread
    return None
