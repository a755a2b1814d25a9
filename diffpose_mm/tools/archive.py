"""Poses of many videos, exactly once: ``mim run diffpose_mm archive VIDEOS --out DIR``."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction

from diffpose_mm.apis.defaults import MODEL, weights_of_config
from diffpose_mm.apis.options import InferenceOptions
from diffpose_mm.archive.engine import EngineSource
from diffpose_mm.archive.manifest import read_entries
from diffpose_mm.archive.output import Output
from diffpose_mm.archive.requirements import needed
from diffpose_mm.archive.run import ArchiveRun, Pool, Report
from diffpose_mm.archive.telling import plan_lines, report_lines
from diffpose_mm.configs import read_config
from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.keypoint_sets import KEYPOINT_SETS

DEFAULTS = InferenceOptions()
SOME_FAILED = 3
"""Exit status where videos could not be posed."""

EXAMPLES = """
examples:
  all videos below a folder, on this machine; the same command goes on where it was interrupted:
    mim run diffpose_mm archive videos/ --out poses

  what would be done:
    mim run diffpose_mm archive videos/ --out poses --dry-run

  a manifest (columns path, boxes, camera, start, end, options), two GPUs, JSON as well:
    mim run diffpose_mm archive manifest.csv --out poses --device cuda:0 cuda:1 --json

what is written, see docs/archive.md:
  OUT/poses/video=KEY/poses.parquet   a row a person-frame; there only if the video is whole
  OUT/json/KEY.json                   the same as infer writes it (--json)
  OUT/failed/KEY.json, OUT/report.json

exit status: 0, 3 if videos failed, 1 if nothing more can be done, 130 if interrupted
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='archive',
        description='Estimate the poses of people in many videos, each exactly once.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'inputs', nargs='+', help='folders, videos, lists (.txt), manifests (.csv, .parquet)'
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='folder to write to')
    parser.add_argument(
        '--pattern', nargs='+', default=(), help='files of a folder, as *.mp4 (default: videos)'
    )
    parser.add_argument('--dry-run', action='store_true', help='print the plan and do nothing')
    parser.add_argument('--json', action='store_true', help='write JSON beside the table')
    parser.add_argument(
        '--retry', action='store_true', help='try videos again that killed their workers'
    )
    work = parser.add_argument_group('workers')
    work.add_argument(
        '--workers', type=int, help='(default: one a device; on a CPU one for two processors)'
    )
    work.add_argument(
        '--device', nargs='+', default=[], help='as cuda:0 cuda:1 (default: all GPUs, else cpu)'
    )
    work.add_argument('--threads', type=int, help='processors of a worker (default: a fair share)')
    work.add_argument(
        '--stretch', type=int, default=2000, help='frames of a piece of work (default: 2000)'
    )
    work.add_argument(
        '--ray', metavar='ADDRESS', help='workers on a Ray cluster: auto, local or its address'
    )
    work.add_argument(
        '--gpus-per-model', type=float, default=0, help='of a worker on Ray (default: 0)'
    )
    model = parser.add_argument_group('model')
    model.add_argument('--config', help='(default: diffpose_real, with --streaming)')
    model.add_argument('--checkpoint', help='weights of --config')
    model.add_argument('--det-model', help='what finds people, see infer')
    model.add_argument('--det-checkpoint')
    model.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    model.add_argument('--mode', choices=['offline', 'causal'])
    model.add_argument('--streaming', action='store_true')
    model.add_argument('--batch-size', type=int, default=8)
    model.add_argument('--steps', type=int, help='denoising steps')
    model.add_argument('--hypotheses', type=int, help='poses sampled for a person')
    model.add_argument('--keypoints', choices=list(KEYPOINT_SETS))
    model.add_argument('--bbox-thr', type=float, default=DEFAULTS.bbox_thr)
    model.add_argument('--nms-thr', type=float, default=DEFAULTS.nms_thr)
    model.add_argument('--max-people', type=int)
    model.add_argument('--use-oks-tracking', action='store_true')
    model.add_argument('--tracking-thr', type=float, default=DEFAULTS.tracking_thr)
    parser.add_argument('--interval', type=float, default=30, help='seconds between lines')
    parser.add_argument('--traceback', action='store_true', help='show where an error was raised')
    args = parser.parse_args(argv)
    for name in ('workers', 'threads', 'stretch'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1')
    if args.config is None and args.checkpoint is not None:
        parser.error('--checkpoint needs the --config of its model')
    return args


def main(argv: Sequence[str] | None = None) -> Report | None:
    """Pose as the command line says; gives the report, None of a dry run.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Raises:
        SystemExit: With what is wrong; status 3 if videos failed.
    """
    args = parse_args(argv)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with one_line_errors(args.traceback):
        try:
            report = run(args)
        except KeyboardInterrupt:
            print('interrupted; the same command goes on from here', file=sys.stderr)
            raise SystemExit(130) from None
    if report is not None and report.failed:
        raise SystemExit(SOME_FAILED)
    return report


def run(args: argparse.Namespace) -> Report | None:
    """Pose as parsed arguments say."""
    needed('pyarrow')
    entries = read_entries(args.inputs, args.pattern)
    source = engine_source(args)
    output = Output(args.out)
    output.open()
    try:
        pool = make_pool(args, source)
        todo = ArchiveRun(
            entries,
            output,
            pool,
            args.stretch,
            args.json,
            args.retry,
            lambda line: print(line, flush=True),
            args.interval,
        )
        if args.dry_run:
            try:
                plans = todo.plan()
            finally:
                pool.close()
            for line in plan_lines(plans, output, args.stretch, args.batch_size, args.json):
                print(line)
            return None
        report = todo()
    finally:
        output.close()
    for line in report_lines(report, output.folder):
        print(line)
    return report


def engine_source(args: argparse.Namespace) -> EngineSource:
    """What the workers build, checked as far as that needs no model."""
    config, checkpoint, streaming = args.config, args.checkpoint, args.streaming
    if config is None:
        config, checkpoint = MODEL
        streaming = not args.use_oks_tracking
    elif checkpoint is None:
        checkpoint = weights_of_config(config)
    options: dict[str, Any] = dict(
        batch_size=args.batch_size,
        mode=args.mode,
        streaming=streaming,
        sampling_steps=args.steps,
        num_hypotheses=args.hypotheses,
        keypoints=args.keypoints,
        bbox_thr=args.bbox_thr,
        nms_thr=args.nms_thr,
        max_people=args.max_people,
        use_oks_tracking=args.use_oks_tracking,
        tracking_thr=args.tracking_thr,
    )
    read_config(config)  # which may bring what the options name
    InferenceOptions(**options)
    return EngineSource(
        'diffpose_mm.archive.engine:model_engine',
        dict(
            config=config,
            checkpoint=checkpoint,
            det_model=args.det_model,
            det_checkpoint=args.det_checkpoint,
            cfg_options=dict(args.cfg_options),
            options=options,
        ),
    )


def make_pool(args: argparse.Namespace, source: EngineSource) -> Pool:
    """The workers that were asked for."""
    if args.ray is not None:
        from diffpose_mm.archive.ray_pool import RayPool

        return RayPool(source, args.ray, args.workers, args.threads, args.gpus_per_model)
    from diffpose_mm.archive.local_pool import LocalPool, devices

    processors = (
        len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    )
    places = args.device or devices()
    count = args.workers or max(len(places), (processors or 1) // 2 if places == ['cpu'] else 1)
    threads = args.threads or max(1, (processors or 1) // count)
    return LocalPool(source, [dict(device=places[i % len(places)]) for i in range(count)], threads)


if __name__ == '__main__':
    main()
