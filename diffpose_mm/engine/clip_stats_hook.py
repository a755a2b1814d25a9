"""Tell what loading clips cost: files decoded for a sample, frames replaced."""

from collections import Counter
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class ClipStatsHook(Hook):
    """Log after every epoch how many files were decoded for a sample, and what was replaced.

    ``LoadClip`` notes both with every sample, so that the counts of all workers come together here.
    T decodes a sample say that no frame was shared; fewer, that the workers' caches served.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self._counts: Counter = Counter()

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        self._counts.clear()

    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence | dict | None = None,
        mode: str = 'train',
    ) -> None:
        for sample in (data_batch or {}).get('data_samples', ()):
            meta = sample.metainfo
            if 'clip_decodes' not in meta:
                continue
            self._counts['samples'] += 1
            self._counts['decodes'] += meta['clip_decodes']
            self._counts['broken'] += meta.get('clip_broken', 0)
            self._counts['replicated'] += sum(meta.get('clip_replicated', ()))

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        counts = self._counts
        if counts['samples']:
            runner.logger.info(
                f'Clips ({mode}): {counts["samples"]} samples, '
                f'{counts["decodes"] / counts["samples"]:.2f} files decoded for a sample, '
                f'{counts["replicated"]} frames replaced by a neighbour, '
                f'{counts["broken"]} of them missing or broken'
            )

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log the counts of a validation."""
        self._after_epoch(runner, 'val')

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log the counts of a test."""
        self._after_epoch(runner, 'test')
