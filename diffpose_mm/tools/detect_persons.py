"""Detector boxes of a data set: ``mim run diffpose_mm detect_persons CONFIG --out FILE.json``."""

import argparse
import os
import os.path as osp
import sys
from collections.abc import Sequence

import torch
from mmengine.config import DictAction
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from diffpose_mm.apis.dataset_boxes import detect_frames
from diffpose_mm.apis.detector import DetectedPeople, PersonDetector
from diffpose_mm.configs import read_config
from diffpose_mm.detectors import FORMS
from diffpose_mm.engine.checkpoint import read_checkpoint
from diffpose_mm.engine.launch import merge_cfg_options, one_line_errors, set_data_root

EXAMPLES = """
examples:
  validation frames, by the first detector that can be had (mmdet's RTMDet-m; docs/detectors.md):
    mim run diffpose_mm detect_persons diffpose_posetrack18 --out val_boxes.json

  then test with these boxes (a path that is not absolute would be relative to data_root):
    mim test diffpose_mm diffpose_posetrack18.py --checkpoint CHECKPOINT \\
        --cfg-options test_dataloader.dataset.bbox_file=$PWD/val_boxes.json

  another detector of mmdet, by its name or from its config; of transformers; of torchvision:
    ... --det-model rtmdet_tiny_8xb32-300e_coco --det-checkpoint rtmdet_tiny.pth
    ... --det-model my_detector.py --det-checkpoint my_detector.pth --det-cat-ids 0
    ... --det-model hf:PekingU/rtdetr_v2_r18vd
    ... --det-model torchvision:fasterrcnn_resnet50_fpn_v2

  eight GPUs of one host; or shares started by hand on any hosts that see FILE's folder:
    torchrun --nproc-per-node 8 -m diffpose_mm detect_persons ... --launcher pytorch
    ... --shard 1/4        ... --shard 2/4        ... --shard 3/4        ... --shard 4/4

  go on after an interruption, also with another number of processes:
    ... --resume

FILE holds COCO results: a list of {"image_id", "category_id": 1, "bbox": [x, y, width, height],
"score"} in image pixels, by video and frame, best first. Finished batches are kept in
FILE.I-of-N.jsonl until FILE is complete. It is the same with any number of processes or
interruptions.
"""

LAUNCHERS = dict(
    pytorch=('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    mpi=('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='detect_persons',
        description='Detect the persons on the labelled frames of a data set.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file, or the name of one of ours')
    parser.add_argument(
        '--split', choices=['train', 'val', 'test'], default='val', help='(default: val)'
    )
    parser.add_argument('--out', required=True, metavar='FILE', help='JSON file to write')
    parser.add_argument('--resume', action='store_true', help='go on after an interruption')
    parser.add_argument('--data-root', help="use this folder in place of the config's data_root")
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='values that replace those of the config, as '
        'val_dataloader.dataset.ann_file=annotations/val',
    )
    parser.add_argument(
        '--skip-unreadable',
        action='store_true',
        help='frames that cannot be read get no persons (default: an error at the end)',
    )

    detector = parser.add_argument_group('detector')
    detector.add_argument('--det-model', help=f'{FORMS} (default: the first that can be had)')
    detector.add_argument('--det-checkpoint', help='its weights')
    detector.add_argument(
        '--det-cat-ids',
        type=int,
        nargs='+',
        help='its labels that mean a person (default: those called person)',
    )
    detector.add_argument(
        '--bbox-thr', type=float, default=0.05, help='minimum score (default: 0.05)'
    )
    detector.add_argument(
        '--nms-thr', type=float, default=0.65, help='IoU threshold of NMS (default: 0.65)'
    )
    detector.add_argument(
        '--max-people', type=int, metavar='N', help='of a frame, the N with the best boxes'
    )
    detector.add_argument('--batch-size', type=int, default=8, help='frames at once (default: 8)')
    detector.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU if there is one)')

    shares = parser.add_argument_group('several processes')
    shares.add_argument('--shard', metavar='I/N', help='do share I of N, I from 1 to N')
    shares.add_argument(
        '--launcher', choices=['none', *LAUNCHERS], default='none', help='job launcher'
    )
    # torch.distributed.launch passes either spelling, depending on its version.
    shares.add_argument('--local_rank', '--local-rank', type=int, help='set by the launcher')
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    return parser.parse_args(argv)


def share_of(args: argparse.Namespace) -> tuple[int, int, int]:
    """Number of this process from 0, number of processes, number on this host.

    Raises:
        ValueError: ``--shard`` is not I/N or contradicts ``--launcher``, or no launcher is there.
    """
    if args.launcher != 'none':
        if args.shard:
            raise ValueError('--shard and --launcher both say who does what: leave one out')
        names = LAUNCHERS[args.launcher]
        missing = [name for name in names if name not in os.environ]
        if missing:
            raise ValueError(
                f'--launcher {args.launcher}: {", ".join(missing)} is not set, so it did not start '
                'this process'
            )
        rank, size, local = (int(os.environ[name]) for name in names)
        return rank, size, local
    try:
        index, count = map(int, (args.shard or '1/1').split('/'))
    except ValueError as error:
        raise ValueError(f'--shard {args.shard} has to be I/N, for example 1/4') from error
    if not 1 <= index <= count:
        raise ValueError(f'--shard {args.shard} has to be I/N with I from 1 to N')
    return index - 1, count, 0


def main(argv: Sequence[str] | None = None) -> list[dict] | None:
    """Detect as the command line says, and print what was done.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Returns:
        All detections; None where other shares are not done yet.

    Raises:
        SystemExit: With what is wrong with an argument, the data or the detector.
    """
    args = parse_args(argv)
    try:
        with one_line_errors(args.traceback):
            return run(args)
    except KeyboardInterrupt:
        print('interrupted; the same command with --resume continues it', file=sys.stderr)
        raise SystemExit(130) from None


def run(args: argparse.Namespace) -> list[dict] | None:
    """Detect as parsed arguments say."""
    rank, count, local = share_of(args)
    if args.batch_size < 1:
        raise ValueError(f'--batch-size {args.batch_size} has to be at least 1')
    if args.max_people is not None and args.max_people < 1:
        raise ValueError(f'--max-people {args.max_people} has to be at least 1')
    if (args.det_model or '').endswith('.py') and not args.det_checkpoint:
        raise ValueError(f'--det-model {args.det_model} needs its weights: --det-checkpoint')
    if args.det_checkpoint:
        read_checkpoint(args.det_checkpoint)
    device = args.device
    if device is None and args.launcher != 'none' and torch.cuda.is_available():
        device = f'cuda:{local % torch.cuda.device_count()}'

    cfg = read_config(args.config)
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    merge_cfg_options(cfg, args.cfg_options)
    init_default_scope('mmpose')
    dataset_cfg = cfg[f'{args.split}_dataloader'].dataset
    dataset = DATASETS.build(dict(dataset_cfg, bbox_file=None, pipeline=[], lazy_init=True))
    if not hasattr(dataset, 'frames'):
        raise ValueError(
            f'{args.config}: a {dataset_cfg.type} cannot list its frames; give a config with a '
            'clip data set'
        )
    frames = dataset.frames()

    detector = PersonDetector(args.det_model, args.det_checkpoint, args.det_cat_ids, device)
    people = DetectedPeople(detector, args.bbox_thr, args.nms_thr, args.max_people)
    detections = detect_frames(
        frames,
        lambda images: people([], images),
        args.out,
        people.identity(),
        batch_size=args.batch_size,
        shard=(rank, count),
        resume=args.resume,
        skip_unreadable=args.skip_unreadable,
        progress=local == 0,
    )
    if detections is None:
        print(f'share {rank + 1} of {count} is done; the last one to finish writes {args.out}')
        return None
    found = len({det['image_id'] for det in detections})
    print(
        f'{args.out}: {len(detections)} boxes on {found} of {len(frames)} frames, '
        f'{len(frames) - found} without a person; to test with them: --cfg-options '
        f'test_dataloader.dataset.bbox_file={osp.abspath(args.out)}'
    )
    return detections


if __name__ == '__main__':
    main()
