"""Features of a frozen backbone, kept on disk: ``mim run diffpose_mm cache_features CONFIG``."""

import argparse
import os.path as osp
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction
from mmengine.device import get_device
from mmengine.dist import init_dist, is_distributed, is_main_process
from mmengine.registry import init_default_scope

from diffpose_mm.configs import read_config
from diffpose_mm.engine.frozen_backbone import build_frozen, write_features
from diffpose_mm.engine.launch import (
    merge_cfg_options,
    one_line_errors,
    set_data_root,
    start_processes,
)
from diffpose_mm.feature_cache import FeatureCache

EXAMPLES = """
examples:
  two augmented views of every training sample, by the backbone of a trained single-frame model:
    mim run diffpose_mm cache_features diffpose_synthetic --checkpoint heatmap.pth --views 2

  then train neck and decoder on them:
    mim train diffpose_mm diffpose_synthetic.py --features features/diffpose_synthetic \\
        --cfg-options load_from=heatmap.pth

  eight GPUs:
    torchrun --nproc-per-node 8 -m diffpose_mm cache_features ... --launcher pytorch

The same command continues after an interruption; with more --views it adds the views that are
missing. Features of other weights, data or transforms in DIR are refused.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='cache_features',
        description='Compute what a frozen backbone makes of the training data, and keep it.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file, or the name of one of ours')
    parser.add_argument(
        '--checkpoint',
        help="of the model whose backbone it is (default: the weights that the config's backbone "
        'starts from)',
    )
    parser.add_argument(
        '--views', type=int, default=2, help='augmented views of each sample (default: 2)'
    )
    parser.add_argument(
        '--out', metavar='DIR', help='folder (default: features/<name of the config>)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='of what is drawn for the views (default: 0)'
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='compute in mixed precision, faster and less exact: float16 on a GPU, bfloat16 on the '
        'CPU; they are kept as float16 either way',
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='write nothing; read all of DIR and compare it with its checksums',
    )
    parser.add_argument('--batch-size', type=int, help="clips at once (default: the config's)")
    parser.add_argument('--num-workers', type=int, help="loading processes (default: the config's)")
    parser.add_argument('--device', help='cpu, cuda, ... (default: a GPU if there is one)')
    parser.add_argument('--data-root', help="use this folder in place of the config's data_root")
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='values that replace those of the config',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes either spelling, depending on its version.
    parser.add_argument('--local_rank', '--local-rank', type=int, help='set by the launcher')
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> FeatureCache:
    """Compute features as the command line says.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Returns:
        What was written.

    Raises:
        SystemExit: With what is wrong with the config, the data, the checkpoint or the folder; 130
            when it was interrupted.
    """
    args = parse_args(argv)
    try:
        with one_line_errors(args.traceback):
            return run(args)
    except KeyboardInterrupt:
        print('interrupted; the same command continues', file=sys.stderr)
        raise SystemExit(130) from None


def run(args: argparse.Namespace) -> FeatureCache:
    """Compute features as parsed arguments say."""
    for name in ('views', 'batch_size'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f'--{name.replace("_", "-")} {value} has to be at least 1')
    if min(args.seed, args.num_workers or 0) < 0:
        raise ValueError('--seed and --num-workers cannot be negative')
    cfg = read_config(args.config)
    folder = args.out or osp.join('features', Path(cfg.filename).stem)
    if args.check:
        cache = FeatureCache(folder)
        cache.check_complete(contents=True)
        print(f'{folder}: {cache.views} views of {cache.samples:,} samples are whole')
        return cache
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    merge_cfg_options(cfg, args.cfg_options)
    init_default_scope('mmpose')
    cfg.launcher = args.launcher
    start_processes(cfg)
    if args.launcher != 'none' and not is_distributed():
        init_dist(args.launcher, **cfg.get('env_cfg', {}).get('dist_cfg', {}))

    loader = cfg.train_dataloader
    workers = loader.get('num_workers', 0) if args.num_workers is None else args.num_workers
    model = build_frozen(cfg, args.checkpoint).to(args.device or get_device())
    cache = write_features(
        model,
        loader.dataset,
        folder,
        args.views,
        args.seed,
        args.batch_size or loader.get('batch_size', 16),
        workers,
        dict(
            config=Path(cfg.filename).stem,
            checkpoint=args.checkpoint or cfg.get('load_from'),
            amp=args.amp,
        ),
        progress=lambda line: print(line, flush=True) if is_main_process() else None,
        amp=args.amp,
    )
    if is_main_process():
        print(
            f'{folder}: {cache.views} views of {cache.samples:,} samples; to train on them: '
            f'train {args.config} --features {folder}'
        )
    return cache


if __name__ == '__main__':
    main()
