"""Test a model: ``mim test diffpose_mm CONFIG --checkpoint CHECKPOINT``."""

import argparse
import os.path as osp
from collections.abc import Sequence

import mmengine
from mmengine.config import Config
from mmengine.runner import Runner

from diffpose_mm.engine.checkpoint import compare, prepare, read_checkpoint
from diffpose_mm.engine.launch import (
    add_common_arguments,
    check_clip_length,
    load_config,
    one_line_errors,
    start_processes,
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog='test', description='Test a model.')
    parser.add_argument('config', help='config file, or the name of a shipped config')
    parser.add_argument('checkpoint', help='checkpoint: a file, a folder, hf:NAME')
    parser.add_argument('--out', help='write the metrics to this .json, .yaml or .pkl file')
    parser.add_argument('--dump', help='write all predictions to this .pkl file')
    add_common_arguments(parser)
    return parser.parse_args(argv)


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Put the test options of the command line into the config.

    Raises:
        ValueError: If a file that is to be written has an ending that nothing can write.
    """
    cfg.load_from = args.checkpoint
    cfg.resume = False
    for option, endings in (
        ('out', ('.json', '.yaml', '.yml', '.pkl')),
        ('dump', ('.pkl', '.pickle')),
    ):
        name = getattr(args, option)
        if name is not None and not name.endswith(endings):
            raise ValueError(f'--{option} {name} must end with one of {", ".join(endings)}')
    if args.dump is not None:
        evaluators = cfg.test_evaluator
        evaluators = list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]
        cfg.test_evaluator = [*evaluators, dict(type='DumpSortedResults', out_file_path=args.dump)]
    return cfg


def main(argv: Sequence[str] | None = None) -> dict:
    """Test as the command line says.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Returns:
        The metrics, for example ``{'posetrack/AP': 75.2, ..., 'box_source': 'detected'}``.

    Raises:
        SystemExit: With what is wrong with the config, the data or the checkpoint.
    """
    args = parse_args(argv)
    with one_line_errors(args.traceback):
        cfg = merge_args(load_config(args), args)
        checkpoint = read_checkpoint(args.checkpoint)
        start_processes(cfg)
        runner = Runner.from_cfg(cfg)
        compare(runner.model, checkpoint, args.checkpoint, cfg.get('allow_partial', False))
        runner._load_from = prepare(args.checkpoint, checkpoint)
        # Builds the dataset here, so that what is wrong with it is told before anything runs.
        dataset = runner.test_loop.dataloader.dataset
        check_clip_length(runner.model, dataset)
        metrics = runner.test()
        metrics['box_source'] = getattr(dataset, 'metainfo', {}).get('box_source', 'not stated')
        runner.logger.info(f'boxes: {metrics["box_source"]}')
    if args.out and runner.rank == 0:
        mmengine.mkdir_or_exist(osp.dirname(osp.abspath(args.out)))
        mmengine.dump(metrics, args.out)
    return metrics


if __name__ == '__main__':
    main()
