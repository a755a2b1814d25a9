"""Tell what loading clips cost, and which frames were not what they should be."""

import os.path as osp
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from ..images import FAULT_KINDS, Fault


def write_faults(runner: Runner, mode: str, faults: Iterable[Fault]) -> str:
    """Name files in ``frames_{mode}.txt`` beside the log: kind, path and reason, tab-separated.

    Returns:
        str: The file written.
    """
    path = osp.join(runner.log_dir, f'frames_{mode}.txt')
    with open(path, 'w', encoding='utf-8') as file:
        file.writelines('\t'.join(fault) + '\n' for fault in sorted(faults))
    return path


@HOOKS.register_module()
class ClipStatsHook(Hook):
    """Log after every epoch how many files were decoded for a sample, and what was replaced.

    ``LoadClip`` notes it with every sample, so that the counts of all workers and processes come
    together here. T decodes a sample say that no frame was shared; fewer, that the workers' caches
    served. Frames that stand in for others are counted by kind: beyond the ends of a video, and
    the kinds of ``FAULT_KINDS``; so are samples given up for their keyframe (training only). The
    files behind them are listed in full in ``frames_{mode}.txt`` beside the log.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self._counts: Counter = Counter()
        self._files: defaultdict[str, set[Fault]] = defaultdict(set)

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
            faults, skipped = meta.get('clip_faults', []), meta.get('clip_skipped', [])
            self._counts['samples'] += 1
            self._counts['decodes'] += meta['clip_decodes']
            self._counts['border'] += sum(meta.get('clip_replicated', ())) - len(faults)
            self._counts['skipped'] += len(skipped)
            self._counts.update(kind for kind, *_ in faults)
            self._files[mode].update(map(tuple, [*faults, *skipped]))

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        counts, files = Counter(), set()
        for others_counts, others_files in dist.all_gather_object(
            (self._counts, self._files[mode])
        ):
            counts += others_counts
            files |= others_files
        self._files[mode] = files
        if not counts['samples']:
            return
        replaced = [
            f'{counts[kind]} {words}'
            for kind, words in {'border': 'beyond the ends of a video', **FAULT_KINDS}.items()
            if counts[kind]
        ]
        message = (
            f'Clips ({mode}): {counts["samples"]} samples, '
            f'{counts["decodes"] / counts["samples"]:.2f} files decoded for a sample; frames '
            f'replaced by a neighbour: {", ".join(replaced) or "none"}'
        )
        if counts['skipped']:
            message += f'; {counts["skipped"]} samples given up for their keyframe'
        if files:
            where = osp.join(runner.log_dir, f'frames_{mode}.txt')
            if dist.is_main_process():
                write_faults(runner, mode, files)
            message += f'; {len(files)} files so far, named in {where}'
            runner.logger.warning(message)
        else:
            runner.logger.info(message)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log the counts of a validation."""
        self._after_epoch(runner, 'val')

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log the counts of a test."""
        self._after_epoch(runner, 'test')
