"""Train a model: ``mim train diffpose_mm CONFIG``."""

import argparse
from collections.abc import Sequence

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.runner import Runner

from diffpose_mm.engine.checkpoint import (
    check_checkpoint,
    prepare_pretrained,
    prepare_start,
)
from diffpose_mm.engine.checkpoint_hook import newest_checkpoint
from diffpose_mm.engine.frozen_backbone import leave_out_frozen, use_kept_features
from diffpose_mm.engine.launch import (
    add_common_arguments,
    announced_end,
    check_clip_length,
    load_config,
    one_line_errors,
    start_processes,
)
from diffpose_mm.feature_cache import FeatureCacheError


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog='train', description='Train a model.')
    parser.add_argument('config', help='config file, or the name of a shipped config')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from this checkpoint, or from the newest readable one in the work directory; '
        'if there is none, start from the beginning',
    )
    parser.add_argument(
        '--amp', action='store_true', help='mixed precision: float16 on a GPU, bfloat16 on the CPU'
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not evaluate during training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate to the batch size of this run',
    )
    parser.add_argument(
        '--features',
        metavar='DIR',
        help='freeze the backbone and train on the features that cache_features kept in DIR',
    )
    parser.add_argument(
        '--reinit',
        nargs='+',
        default=[],
        metavar='NAME',
        help='weights of the model that are not to be taken from a checkpoint, by the beginning of '
        'their names, for example head.final_layer where the keypoints are others',
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Put the training options of the command line into the config.

    Raises:
        ValueError: If an option does not fit the config.
    """
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        checkpoint = cfg.default_hooks.get('checkpoint')
        if checkpoint is not None:
            checkpoint.pop('save_best', None)
    if args.amp:
        kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
        if kind not in ('OptimWrapper', 'AmpOptimWrapper', 'BFloat16OptimWrapper'):
            raise ValueError(
                f'--amp cannot be combined with the optimiser wrapper {kind} of the config'
            )
        if get_device() == 'cpu':
            cfg.optim_wrapper.type = 'BFloat16OptimWrapper'
            cfg.optim_wrapper.pop('loss_scale', None)
            head = cfg.model.get('head') or {}
            if head.get('type') in ('HeatmapHead', 'mmpose.HeatmapHead'):
                # The same head, whose accuracy goes through numpy, which has no bfloat16.
                head['type'] = 'Float32HeatmapHead'
        elif kind != 'BFloat16OptimWrapper':
            cfg.optim_wrapper.type = 'AmpOptimWrapper'
            cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.resume is not None:
        cfg.resume = True
        if args.resume != 'auto':
            cfg.load_from = args.resume
    if args.reinit:
        cfg.reinit = args.reinit
    if args.auto_scale_lr:
        if cfg.get('auto_scale_lr', {}).get('base_batch_size') is None:
            raise ValueError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config')
        cfg.auto_scale_lr.enable = True
    if args.features is not None:
        use_kept_features(cfg, args.features)
    leave_out_frozen(cfg)
    return cfg


def find_start(cfg: Config, args: argparse.Namespace) -> None:
    """Put the checkpoint to go on from into the config, or that there is none yet.

    Weights that a config starts from are those of its first start only.

    Raises:
        CheckpointError: There are checkpoints, and none of them can be read.
    """
    if args.resume == 'auto' or (cfg.get('resume') and not cfg.get('load_from')):
        newest = newest_checkpoint(cfg.work_dir)
        cfg.resume = newest is not None
        if newest:
            cfg.load_from = newest
        else:
            print_log(f'{cfg.work_dir} has no checkpoint yet: training starts from the beginning')


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line says.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Raises:
        SystemExit: With what is wrong with the config, the data or the checkpoint, or why training
            ended early; 130 when it was interrupted.
    """
    args = parse_args(argv)
    with one_line_errors(args.traceback):
        cfg = merge_args(load_config(args), args)
        find_start(cfg, args)
        start_processes(cfg)
        runner = Runner.from_cfg(cfg)
        wanted = dict(allow_partial=cfg.get('allow_partial', False), reinit=cfg.get('reinit') or ())
        prepare_pretrained(runner.model, **wanted)
        if cfg.get('resume'):
            check_checkpoint(runner.model, cfg.load_from, resume=True)
        elif cfg.get('load_from'):
            runner._load_from = prepare_start(runner.model, cfg.load_from, **wanted)
        # Builds the datasets here, so that what is wrong with them is told before anything runs.
        check_clip_length(runner.model, runner.train_loop.dataloader.dataset)
        if cfg.get('val_cfg') is not None:
            check_clip_length(runner.model, runner.val_loop.dataloader.dataset)
    with (
        announced_end(args.traceback, runner.work_dir),
        one_line_errors(args.traceback, (FeatureCacheError,)),
    ):
        runner.train()


if __name__ == '__main__':
    main()
