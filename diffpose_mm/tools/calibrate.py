"""Make ``keypoint_std`` a length: ``mim run diffpose_mm calibrate CONFIG ... --out FILE``."""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import DictAction
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.utils import ProgressBar
from mmpose.registry import DATASETS, MODELS

from diffpose_mm.configs import read_config
from diffpose_mm.engine.launch import (
    check_clip_length,
    merge_cfg_options,
    one_line_errors,
    set_data_root,
)
from diffpose_mm.evaluation.spread_calibration_fit import fit_table
from diffpose_mm.evaluation.sweep import Sweep, data_digest
from diffpose_mm.files import atomic_write
from diffpose_mm.loading import check_checkpoint, encode_metadata, weights_digest
from diffpose_mm.models import DiffPoseHead
from diffpose_mm.weights import write_safetensors
from diffpose_mm_runtime.spread_calibration import VERSION

ENDINGS = ('.safetensors', '.pth')
FIELD = 'spread_calibration'
EXAMPLES = """
The spread of hypotheses orders joints well and is too short as a length. This measures by how much,
on the test set of the config, and writes a copy of the checkpoint that knows it: 68 % of joints are
within one keypoint_std of the truth and 95 % within two, by its length along x and y. Take
annotated clips that were neither trained on nor are to be tested on:

    python -m diffpose_mm synthesize --out data/calibration --train-videos 1 --seed 1
    python -m diffpose_mm calibrate diffpose_synthetic --checkpoint best.pth \\
        --data-root data/calibration --out calibrated.pth

An interrupted run continues when the same command is given again.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='calibrate',
        description='Calibrate the spread of hypotheses of a checkpoint.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file, or the name of one of this package')
    parser.add_argument('--checkpoint', required=True, help='weights')
    parser.add_argument('--out', required=True, type=Path, help='checkpoint to write')
    parser.add_argument('--data-root', help="use this folder in place of the config's data_root")
    parser.add_argument(
        '--steps', type=int, nargs='+', default=[1, 4], metavar='S', help='default: 1 4'
    )
    parser.add_argument('--hypotheses', type=int, default=10, metavar='N', help='default: 10')
    parser.add_argument('--batch-size', type=int, default=8, help='samples at once (default: 8)')
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU if there is one)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='values of the config'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace a file that is there')
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    return parser.parse_args(argv)


class Cases:
    """Spreads, scores and errors of annotated joints, in input pixels."""

    def __init__(self) -> None:
        self.rows: dict[int, list[tuple[np.ndarray, ...]]] = {}

    def add(self, record: dict, extent: np.ndarray) -> None:
        """Take a record of a :class:`Sweep`; ``extent`` is the codec's, input pixels."""
        true = record['gt_instances']
        if 'keypoints' not in true or not record.get('raw_ann_info'):
            raise ValueError(
                f'the box of {record.get("img_path")} is not an annotated one: set '
                'test_dataloader.dataset.bbox_file=None'
            )
        ratio = extent / np.asarray(record['input_scale'], float)
        visible = np.asarray(true['keypoints_visible'])[0]
        annotated = (visible[..., 0] if visible.ndim == 2 else visible) > 0
        flags = record['raw_ann_info'].get('occluded')
        occluded = np.zeros(len(annotated), bool) if flags is None else np.asarray(flags) > 0
        for (steps, _, kind), pose in record['cells'].items():
            if kind != 'mean':
                continue
            errors = np.asarray(pose['keypoints'])[0] - np.asarray(true['keypoints'])[0]
            row = (
                np.asarray(pose['keypoint_std'])[0] * ratio,
                np.asarray(pose['keypoint_scores'])[0],
                errors * ratio,
                occluded,
            )
            self.rows.setdefault(steps, []).append(tuple(part[annotated] for part in row))

    def tables(self, number: int) -> list[dict[str, Any]]:
        """The fitted tables, by S."""
        found = []
        for steps, rows in sorted(self.rows.items()):
            spread, scores, errors, occluded = (np.concatenate(part) for part in zip(*rows))
            groups = dict(occluded=occluded)
            found.append(fit_table(spread, scores, errors, number, steps, groups))
        return found


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Calibrate as the command line says.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Returns:
        What was stored: see :class:`SpreadCalibration`.

    Raises:
        SystemExit: With what is wrong with an argument, the data or the checkpoint.
    """
    args = parse_args(argv)
    with one_line_errors(args.traceback):
        try:
            return run(args)
        except KeyboardInterrupt:
            print('\ninterrupted; the same command continues it', file=sys.stderr)
            raise SystemExit(130) from None


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Calibrate as parsed arguments say."""
    if args.out.suffix not in ENDINGS:
        raise ValueError(f'--out {args.out} must end with {" or ".join(ENDINGS)}')
    if args.out.exists() and not args.overwrite:
        raise ValueError(f'{args.out} exists: choose another name, or give --overwrite')
    if args.hypotheses < 2:
        raise ValueError(f'--hypotheses {args.hypotheses}: a spread takes 2 or more')
    if args.batch_size < 1:
        raise ValueError(f'--batch-size {args.batch_size} must be at least 1')
    cfg = read_config(args.config)
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    merge_cfg_options(cfg, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    model = MODELS.build(cfg.model)
    if not isinstance(model.head, DiffPoseHead):
        raise ValueError(
            f'config {args.config} has a {type(model.head).__name__}, which draws no hypotheses; '
            'give one with a DiffPoseHead'
        )
    steps = sorted(set(args.steps))
    for count in steps:
        model.head.check_test_cfg(dict(model.test_cfg, sampling_steps=count))
    checkpoint = check_checkpoint(model, args.checkpoint)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    check_clip_length(model, dataset)
    made_by = dict(
        data=data_digest(dataset),
        people=len(dataset),
        weights_sha256=weights_digest(checkpoint['state_dict']),
        test_cfg=dict(model.test_cfg),
        date=date.today().isoformat(),
    )
    known = {key: value for key, value in made_by.items() if key != 'date'}
    settings = [cfg.model, cfg.test_dataloader.dataset, args.batch_size, args.hypotheses, known]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    folder = args.out.parent / f'{args.out.stem}-predictions-{digest[:8]}'
    folder.mkdir(parents=True, exist_ok=True)

    model.to(args.device or get_device()).eval()
    workers = cfg.test_dataloader.get('num_workers', 0)
    sweep = Sweep(model, dataset, steps, [args.hypotheses], str(folder), args.batch_size, workers)
    cases, progress = Cases(), ProgressBar(len(sweep))
    for batch in sweep:
        for record in batch:
            cases.add(record, model.head.decoder.input_extent)
        progress.update()
    progress.file.write('\n')
    fitted = dict(made_by, version=VERSION, tables=cases.tables(args.hypotheses))
    meta = dict(checkpoint.get('meta') or {}, **{FIELD: fitted})
    write(args.out, checkpoint['state_dict'], meta)
    shutil.rmtree(folder)
    for table in fitted['tables']:
        shares = ', '.join(
            f'{name} {100 * one:.1f} and {100 * two:.1f} %'
            for name, (one, two) in table['within'].items()
        )
        print(f'S = {table["sampling_steps"]}: within one and two keypoint_std: {shares}')
    print(f'{args.out}: of {len(dataset)} people, on whom these shares are, too; test on others')
    return fitted


def write(path: Path, weights: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Write weights and metadata in the form that the name says, whole or not at all."""
    with atomic_write(path, 'wb') as file:
        if path.suffix == '.pth':
            torch.save(dict(state_dict=weights, meta=meta), file)
            return
        tensors = {key: value.detach().clone().contiguous() for key, value in weights.items()}
        write_safetensors(file, tensors, encode_metadata(meta))


if __name__ == '__main__':
    main()
