"""AP after training on kept features beside AP after training on frames, from the same weights.

Both run the command line tools: the same config, data, epochs, batch and start, unfrozen on frames
and frozen on kept features. The same command goes on where it was interrupted. README.md beside
this file holds the results.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mmengine.fileio import dump, load

from diffpose_mm.configs import read_config
from diffpose_mm.engine.launch import set_data_root
from diffpose_mm.tools import cache_features, test, train
from diffpose_mm.visualization import ClipPoseVisualizer

RUNS = dict(frames='trained on frames', kept='trained on kept features')


def options_of(args: argparse.Namespace, config: str) -> list[str]:
    """What the two trainings have in common."""
    found = [
        f'load_from={args.checkpoint}',
        f'train_cfg.max_epochs={args.epochs}',
        f'randomness.seed={args.seed}',
        'default_hooks.checkpoint.interval=1',
    ]
    # A schedule that ends with the training, whatever its length.
    for i, scheduler in enumerate(read_config(config).get('param_scheduler') or []):
        if scheduler.get('T_max'):
            found += [f'param_scheduler.{i}.T_max={args.epochs}']
            found += [f'param_scheduler.{i}.end={args.epochs}']
    if args.samples:
        found.append(f'train_dataloader.dataset.indices={args.samples}')
    return found + (args.cfg_options or [])


def seconds_of_training(work_dir: Path) -> float:
    """Seconds of all steps in the logs of a training, without validation and start."""
    total = 0.0
    for log in work_dir.glob('*/vis_data/scalars.json'):
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        steps = [entry for entry in entries if 'loss' in entry]
        before = 0
        for entry in steps:
            total += entry['time'] * (entry['iter'] - before if before else 1)
            before = entry['iter']
    return total


def train_and_test(args: argparse.Namespace, run: str, features: Path) -> dict:
    """One of the two runs, or what is left of it; its metrics and seconds."""
    folder = Path(args.out, run)
    result = folder / 'metrics.json'
    if result.is_file():
        return load(result)
    # mmengine keeps visualizers by name, with the folder of the first run of the process.
    ClipPoseVisualizer._instance_dict.clear()
    common = ['--data-root', args.data_root] if args.data_root else []
    options = ['--cfg-options', *options_of(args, args.config)]
    extra = ['--features', str(features)] if run == 'kept' else []
    train.main(
        [args.config, '--resume', '--no-validate', *extra, '--work-dir', str(folder)]
        + [*common, *(['--amp'] if args.amp else []), *options]
    )
    ClipPoseVisualizer._instance_dict.clear()
    last = (folder / 'last_checkpoint').read_text()
    metrics = test.main([args.config, last, '--work-dir', str(folder / 'test'), *common])
    found = dict(
        ap={k: v for k, v in metrics.items() if re.search(r'/AP( \(.*\))?$', k)},
        seconds=seconds_of_training(folder),
    )
    dump(found, result)
    return found


def main(argv: Sequence[str] | None = None) -> dict:
    """Run what is missing, print the table, return the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file, or the name of one of ours')
    parser.add_argument('--checkpoint', required=True, help='that both start from')
    parser.add_argument('--out', required=True, help='folder; the same one goes on')
    parser.add_argument('--data-root', help="in place of the config's")
    parser.add_argument('--epochs', type=int, default=20)
    parser.add_argument('--views', type=int, default=2)
    parser.add_argument('--samples', type=int, help='the first of the training set only')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--amp', action='store_true')
    parser.add_argument('--cfg-options', nargs='+', help='more of them, for both trainings')
    args = parser.parse_args(argv)
    features = Path(args.out, 'features')
    cfg = read_config(args.config)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    start = time.perf_counter()
    limit = [f'train_dataloader.dataset.indices={args.samples}'] if args.samples else []
    cache_features.main(
        [args.config, '--checkpoint', args.checkpoint, '--views', str(args.views)]
        + ['--out', str(features)]
        + (['--data-root', args.data_root] if args.data_root else [])
        + (['--cfg-options', *limit] if limit else [])
    )
    written = time.perf_counter() - start
    found = {run: train_and_test(args, run, features) for run in RUNS}
    print(f'\nfeatures: {written:.0f} s in this run\n')
    print('| | AP | all of them | seconds of training |\n| --- | ---: | --- | ---: |')
    for run, words in RUNS.items():
        ap = found[run]['ap']
        main_ap = next(v for k, v in ap.items() if k.endswith('/AP'))
        rest = ', '.join(f'{k.partition("/")[2]} {v:.1f}' for k, v in ap.items())
        print(f'| {words} | {main_ap:.1f} | {rest} | {found[run]["seconds"]:.0f} |')
    return found


if __name__ == '__main__':
    main(sys.argv[1:])
