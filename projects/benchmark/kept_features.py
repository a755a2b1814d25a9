"""Samples a second of training: on frames, on frames with a frozen backbone, on kept features.

The three take turns, with the batch of the config, from the data set to the optimiser's step and in
one process, so that the processor time counts loading as well. README.md beside this file says more
and holds the results.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from timing import describe_run, synchronize
from torch.utils.data import DataLoader

from diffpose_mm.configs import read_config
from diffpose_mm.engine.frozen_backbone import build_frozen, write_features
from diffpose_mm.engine.launch import set_data_root

FRAMES, FROZEN, KEPT = 'frames', 'frames, backbone frozen', 'kept features'


def endless(dataset: torch.utils.data.Dataset, batch: int) -> Iterator[dict]:
    """Batches of a data set in its order, again and again."""
    loader = DataLoader(dataset, batch, collate_fn=pseudo_collate, drop_last=True)
    while True:
        yield from loader


def make_step(
    settings: ConfigDict, weights: dict, dataset: dict, batch: int, device: str, amp: bool
) -> Callable[[], object]:
    """A function that trains on the next batch.

    Args:
        settings: Of the model.
        weights: Its state dict.
        dataset: Config of the data set.
        batch: Samples.
        device: Of the model.
        amp: Whether the forward pass is in bfloat16.
    """
    model = MODELS.build(settings).to(device)
    model.load_state_dict(weights)
    model.train()
    optimizer = dict(type='AdamW', lr=1e-5)
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='TrainableOptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                type='BFloat16OptimWrapper' if amp else 'OptimWrapper',
                optimizer=optimizer,
                clip_grad=dict(max_norm=1.0),
            ),
        )
    )(model)
    batches = endless(DATASETS.build(dataset), batch)
    return lambda: model.train_step(next(batches), wrapper)


def measure(
    cfg: ConfigDict,
    checkpoint: str | None,
    batch: int,
    samples: int,
    steps: int,
    rounds: int,
    device: str = 'cpu',
    amp: bool = False,
    folder: str | None = None,
) -> dict:
    """Time the three.

    Args:
        cfg: A config.
        checkpoint: Of the backbone; None leaves it random, which takes as long.
        batch: Samples of a step.
        samples: The first of the training set, which are gone through again and again.
        steps: Of each in a round, after one that is not timed.
        rounds: In each of which the three take turns.
        device: Of the model.
        amp: Whether in bfloat16.
        folder: For the features; a temporary one by default.

    Returns:
        dict: For each of the three, ``wall`` and ``cpu``: seconds of a step in each round; and
        ``cache``: bytes of a sample and view, seconds of writing one.
    """
    dataset = ConfigDict({**cfg.train_dataloader.dataset, 'indices': samples})
    with TemporaryDirectory() as temporary:
        folder = folder or temporary
        cfg.model.backbone.init_cfg = None
        torch.manual_seed(0)
        whole = MODELS.build(cfg.model)
        if checkpoint is None:
            checkpoint = str(Path(temporary, 'random.pth'))
            torch.save(dict(state_dict=whole.state_dict()), checkpoint)
        frozen = build_frozen(cfg, checkpoint).to(device)
        start = time.perf_counter()
        cache = write_features(frozen, dataset, folder, 1, batch_size=batch)
        written = (time.perf_counter() - start) / samples
        weights = frozen.state_dict()
        freeze = ConfigDict({**cfg.model, 'freeze_backbone': True})
        kept = dict(type='KeptFeatures', folder=folder, dataset=dataset)
        parts = {
            name: make_step(settings, weights, data, batch, device, amp)
            for name, settings, data in (
                (FRAMES, cfg.model, dataset),
                (FROZEN, freeze, dataset),
                (KEPT, freeze, kept),
            )
        }
        result: dict = {name: dict(wall=[], cpu=[]) for name in parts}
        for step in parts.values():
            step()
        for number in range(rounds):
            for name, step in parts.items():
                synchronize(torch.device(device))
                wall, cpu = time.perf_counter(), time.process_time()
                for _ in range(steps):
                    step()
                synchronize(torch.device(device))
                result[name]['wall'].append((time.perf_counter() - wall) / steps)
                result[name]['cpu'].append((time.process_time() - cpu) / steps)
            result['cache'] = dict(bytes=cache.sample_bytes, seconds=written)
            print(f'\nafter round {number + 1} of {rounds}\n{table(result, batch)}', flush=True)
    return result


def table(result: dict, batch: int) -> str:
    """The table of a measurement."""
    lines = [
        '| training on | samples/s | samples per processor second | ratio | ratio, processor |',
        '| --- | ---: | ---: | ---: | ---: |',
    ]
    for name in (FRAMES, FROZEN, KEPT):
        median = {clock: statistics.median(result[name][clock]) for clock in ('wall', 'cpu')}
        ratio = {
            clock: statistics.median(
                a / b for a, b in zip(result[FRAMES][clock], result[name][clock])
            )
            for clock in ('wall', 'cpu')
        }
        lines.append(
            f'| {name} | {batch / median["wall"]:.2f} | {batch / median["cpu"]:.2f} | '
            f'{ratio["wall"]:.2f} | {ratio["cpu"]:.2f} |'
        )
    cache = result['cache']
    lines.append('')
    lines.append(
        f'{cache["bytes"]:,} bytes a sample and view, written at {1 / cache["seconds"]:.1f} '
        'samples/s'
    )
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> dict:
    """Measure as the command line says, print the table, return the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file, or the name of one of ours')
    parser.add_argument('--data-root', help="in place of the config's")
    parser.add_argument('--checkpoint', help='of the backbone (default: random weights)')
    parser.add_argument('--batch-size', type=int, help="default: the config's")
    parser.add_argument('--samples', type=int, default=64, help='gone through again and again')
    parser.add_argument('--steps', type=int, default=4, help='of each in a round')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--amp', action='store_true', help='bfloat16')
    parser.add_argument('--json', help='write the numbers to this file')
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    init_default_scope('mmpose')
    cfg = read_config(args.config)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    batch = args.batch_size or cfg.train_dataloader.batch_size
    if args.samples < batch:
        parser.error(f'--samples {args.samples} is less than a batch of {batch}')
    result = measure(
        cfg, args.checkpoint, batch, args.samples, args.steps, args.rounds, args.device, args.amp
    )
    args.compile, args.clock, args.amp = False, 'wall and cpu', 'bf16' if args.amp else None
    run = describe_run(args)
    print(', '.join(f'{key} {value}' for key, value in run.items()))
    print(f'\n**{args.config}: batch {batch}** ({args.rounds} rounds of {args.steps} steps)\n')
    print(table(result, batch))
    if args.json:
        Path(args.json).write_text(json.dumps(dict(run=run, batch=batch, **result), indent=1))
    return result


if __name__ == '__main__':
    main()
