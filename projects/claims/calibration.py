"""Does a calibrated keypoint_std hold on people that it was not fitted on?

    python projects/claims/calibration.py diffpose_synthetic --checkpoint CKPT \
        --fit DIR --test DIR --out work_dirs/claims/calibration

Fitted on every third person of one data set, tested on every third of another. Shares are of joints
within one and two lengths of keypoint_std of the truth, which should be 68 % and 95 %. Writes
``calibration.json``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from neck_features import NeckFeatures, Setting, build, features_of, heatmaps_of
from provenance import provenance

from diffpose_mm.evaluation.spread_calibration_fit import coverage, fit_table
from diffpose_mm.files import atomic_write
from diffpose_mm_runtime.spread_calibration import VERSION, SpreadCalibration


def cases(model: Any, kept: NeckFeatures, steps: int, number: int, seed: int) -> dict:
    """Spreads, scores and errors of annotated joints, input pixels, with their flags."""
    settings = dict(model.test_cfg, sampling_steps=steps, num_hypotheses=number, seed=seed)
    heatmaps = heatmaps_of(model.head, kept, settings)
    extent = model.head.decoder.input_extent
    rows: list[list[np.ndarray]] = []
    for maps, sample in zip(heatmaps, kept.samples):
        found = model.head.decoder.decode_hypotheses(maps)
        meta, raw = sample.metainfo, sample.metainfo['raw_ann_info']
        corner = meta['input_center'] - 0.5 * meta['input_scale']
        true = (sample.gt_instances.keypoints[0] - corner) / meta['input_scale'] * extent
        visible = np.asarray(sample.gt_instances.keypoints_visible)[0]
        annotated = (visible[..., 0] if visible.ndim == 2 else visible) > 0
        flags = [np.asarray(raw[name]) > 0 for name in ('occluded', 'blurred')]
        values = found['keypoint_std'][0], found['keypoint_scores'][0], found['keypoints'][0] - true
        rows.append([value[annotated] for value in (*values, *flags)])
    names = ('spread', 'scores', 'errors', 'occluded', 'blurred')
    return dict(zip(names, (np.concatenate(column) for column in zip(*rows))))


def shares(found: dict, stds: np.ndarray) -> dict[str, list[float]]:
    """Percent within one and two standard deviations, for each group of joints."""
    clear = ~found['occluded'] & ~found['blurred']
    everyone = np.ones(len(clear), bool)
    groups = dict(all=everyone, occluded=found['occluded'], blurred=found['blurred'], clear=clear)
    return {
        name: [100 * share for share in coverage(found['errors'][part], stds[part])]
        for name, part in groups.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Fit, test, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--checkpoint', required=True)
    parser.add_argument('--fit', required=True, help='data set to fit on')
    parser.add_argument('--test', required=True, help='data set to test on')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--steps', type=int, nargs='+', default=[1, 4])
    parser.add_argument('--hypotheses', type=int, default=5)
    parser.add_argument('--every', type=int, default=3, help='of the people')
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    kept = {}
    for name in ('fit', 'test'):
        model, dataset = build(args.config, args.checkpoint, getattr(args, name))
        part = torch.utils.data.Subset(dataset, range(0, len(dataset), args.every))
        kept[name] = features_of(Setting(model, part), args.out / f'{name}.pkl')
    rows, tables = [], []
    for steps in args.steps:
        found = {}
        for name, features in kept.items():
            path = args.out / f'{name}-S{steps}-N{args.hypotheses}.npz'
            if not path.is_file():
                measured = cases(model, features, steps, args.hypotheses, 0)
                with atomic_write(path, 'wb') as file:
                    np.savez(file, **measured)
            found[name] = dict(np.load(path))
        fit, test = found['fit'], found['test']
        data = fit['spread'], fit['scores'], fit['errors']
        tables.append(fit_table(*data, args.hypotheses, steps, dict(occluded=fit['occluded'])))
        calibration = SpreadCalibration(dict(version=VERSION, tables=tables[-1:]))
        ours = calibration(test['spread'], test['scores'], args.hypotheses, steps)
        row = dict(S=steps, N=args.hypotheses, joints=len(test['errors']))
        row['raw'] = shares(test, np.maximum(test['spread'], 1e-6))
        row['calibrated'] = shares(test, ours)
        rows.append(row)
        print(json.dumps(row, indent=1), flush=True)
    people = {name: len(k.samples) for name, k in kept.items()}
    made_by = provenance(args, every=args.every, people=people)
    with atomic_write(args.out / 'calibration.json', 'w') as file:
        json.dump(dict(made_by, rows=rows, tables=tables), file, indent=1)


if __name__ == '__main__':
    main(sys.argv[1:])
