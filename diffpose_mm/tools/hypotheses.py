"""What hypotheses are worth: ``mim run diffpose_mm hypotheses CONFIG --checkpoint CHECKPOINT``."""

import argparse
import copy
import hashlib
import json
import os.path as osp
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import cv2
import mmengine
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmengine.utils import ProgressBar
from mmpose.registry import DATASETS, METRICS, MODELS
from torch import nn
from torch.utils.data import DataLoader, Dataset

from diffpose_mm.configs import read_config
from diffpose_mm.engine.checkpoint import check_checkpoint
from diffpose_mm.engine.launch import (
    check_clip_length,
    merge_cfg_options,
    one_line_errors,
    set_data_root,
)
from diffpose_mm.files import atomic_write
from diffpose_mm.models import DiffPoseHead
from diffpose_mm.visualization.hypothesis_figures import (
    HypothesisPanel,
    hypothesis_sheet,
    reliability_plot,
    step_curves,
)

PEOPLE = 6  # on the sheet

EXAMPLES = """
examples:
  mim run diffpose_mm hypotheses diffpose_synthetic.py --checkpoint best.pth --out out
  ... --data-root data/hard --steps 1 4 --hypotheses 1 10
  ... --cfg-options model.test_cfg.flip_test=False            half the cost
  ... --cfg-options test_dataloader.dataset.bbox_file=None    PoseTrack: annotated boxes

what is written:
  OUT/hypotheses.md     the table, S x N
  OUT/hypotheses.png    its columns as curves over S
  OUT/reliability.png   error against spread for the largest N: are unsure joints the wrong ones?
  OUT/people.png        people from sure to unsure with their hypotheses, largest S and N
  OUT/hypotheses.json   all numbers, and how they were made
  OUT/predictions-*/    while it runs; the same command continues after an interruption

how to read it:
  AP, AP occl.  average precision of all joints and of occluded ones (where annotations tell them);
                of the mean heatmaps, and of the consensus, the whole hypothesis that agrees best
                with the others (model.test_cfg.aggregate)
  best of N     PCK (joints within 0.1 of the person's size) and OKS of the hypothesis nearest to
                the truth: what the hypotheses know, if one could choose
  double        left and right joint on one spot while the true ones are apart, % of such pairs
  swap          left taken for right and right for left, % of the same pairs
  Spearman      rank correlation of a joint's spread with its error, and on occluded joints
  error/spread  root mean square of error over that of spread: 1 is calibrated, above 1 the model is
                surer than it should be

Boxes have to be the annotated ones. Backbone and neck run once for a sample; for each S the largest
N is drawn, and smaller N are its first hypotheses. The cost is sum(S) x max(N) decoder calls.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='hypotheses',
        description='Measure S denoising steps x N hypotheses of a checkpoint on its test set.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file, or the name of one of ours')
    parser.add_argument('--checkpoint', required=True, help='weights')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder to write to')
    parser.add_argument(
        '--steps', type=int, nargs='+', default=[1, 2, 4, 10], metavar='S', help='default: 1 2 4 10'
    )
    parser.add_argument(
        '--hypotheses', type=int, nargs='+', default=[1, 5, 10], metavar='N', help='default: 1 5 10'
    )
    parser.add_argument('--data-root', help="use this folder in place of the config's data_root")
    parser.add_argument('--batch-size', type=int, default=8, help='samples at once (default: 8)')
    parser.add_argument('--device', help='cpu, cuda:0, ... (default: a GPU if there is one)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='values of the config'
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    return parser.parse_args(argv)


class Pass:
    """One pass over a data set, whose batches are kept in a folder until the tables are written.

    Args:
        model: A model with a :class:`DiffPoseHead`.
        dataset: The data set.
        steps: Values of S.
        numbers: Values of N, ascending.
        folder: Finished batches are read from it, others written to it.
        batch_size: Samples at once.
        workers: Processes that load.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        steps: Sequence[int],
        numbers: Sequence[int],
        folder: str,
        batch_size: int,
        workers: int,
    ) -> None:
        self.model = model
        self.steps = steps
        self.numbers = numbers
        self.folder = folder
        self.batches = [
            list(range(i, min(i + batch_size, len(dataset))))
            for i in range(0, len(dataset), batch_size)
        ]
        missing = [b for b in self.batches if self._missing(b)]
        self.loader = DataLoader(
            dataset, batch_sampler=missing, num_workers=workers, collate_fn=pseudo_collate
        )

    def _file(self, batch: Sequence[int], steps: int) -> str:
        return osp.join(self.folder, f'{batch[0]:07d}_S{steps}.pth')

    def _missing(self, batch: Sequence[int]) -> list[int]:
        return [s for s in self.steps if not osp.exists(self._file(batch, s))]

    def __iter__(self) -> Iterator[list[dict]]:
        """Yield the records of each batch and S: samples as dicts, with ``cells`` beside.

        ``cells`` maps (S, N, ``'mean'`` or ``'consensus'``) to a ``pred_instances`` of that kind.
        """
        loaded = iter(self.loader)
        for batch in self.batches:
            missing = self._missing(batch)
            if missing:
                for steps, records in zip(missing, self.predict(next(loaded), missing)):
                    path = self._file(batch, steps)
                    with atomic_write(path, 'wb') as file:
                        torch.save(records, file)
            for steps in self.steps:
                with open(self._file(batch, steps), 'rb') as file:
                    yield torch.load(file, weights_only=True)

    @torch.no_grad()
    def predict(self, data: dict, all_steps: Sequence[int]) -> Iterator[list[dict]]:
        """Yield the records of a batch for each S."""
        model, head = self.model, self.model.head
        data = model.data_preprocessor(data, False)
        inputs, samples = data['inputs'], data['data_samples']
        feats = model.extract_feat(inputs)
        if model.test_cfg.get('flip_test', False):
            feats = [feats, model.extract_feat(inputs.flip(-1))]
        for steps in all_steps:
            records = [dict(sample.to_dict(), cells={}) for sample in samples]
            cfg = dict(model.test_cfg, sampling_steps=steps, num_hypotheses=self.numbers[-1])
            heatmaps = head.sample(feats, samples, head.check_test_cfg(cfg)).cpu().numpy()
            for number in self.numbers:
                means = [head.decoder.decode_hypotheses(h[:number]) for h in heatmaps]
                wholes = [head.take_consensus(d, s) for d, s in zip(means, samples)]
                for kind, decoded in (('mean', means), ('consensus', wholes)):
                    instances = [InstanceData(**d) for d in decoded]
                    results = model.add_pred_to_datasample(instances, None, samples)
                    for record, result in zip(records, results):
                        record['cells'][steps, number, kind] = result.pred_instances.to_dict()
            yield records


class People:
    """Passes the records of a :class:`Pass` on, and keeps those of one S and N to draw them."""

    def __init__(self, records: Iterable[list[dict]], steps: int, number: int) -> None:
        self.records = records
        self.cell = steps, number, 'mean'
        self.kept: list[tuple[float, str, dict, dict]] = []

    def __iter__(self) -> Iterator[list[dict]]:
        """Yield what the records yield."""
        for batch in self.records:
            for record in batch:
                if self.cell in record['cells']:
                    pose, true = record['cells'][self.cell], record['gt_instances']
                    known = np.asarray(true['keypoints_visible'])[0] > 0
                    if known.any():
                        box = true['bboxes'][0]
                        deviations = np.linalg.norm(pose['keypoint_std'][0], axis=-1)[known]
                        size = np.sqrt((box[2:] - box[:2]).prod())
                        spread = float(deviations.mean() / size)
                        self.kept.append((spread, record['img_path'], pose, true))
            yield batch

    def draw(self, path: str, links: Sequence[tuple[int, int]]) -> None:
        """Draw people from the surest to the least sure but one in twenty."""
        self.kept.sort(key=lambda entry: entry[0])
        panels = []
        for place in np.linspace(0, 0.95 * (len(self.kept) - 1), PEOPLE).round().astype(int):
            spread, image, pose, true = self.kept[place]
            panels.append(
                HypothesisPanel(
                    image=cv2.cvtColor(cv2.imread(image), cv2.COLOR_BGR2RGB),
                    box=true['bboxes'][0],
                    hypotheses=pose['hypotheses'][0],
                    pose=pose['keypoints'][0],
                    deviations=pose['keypoint_std'][0],
                    true=true['keypoints'][0],
                    annotated=np.asarray(true['keypoints_visible'])[0] > 0,
                    title=f'spread {100 * spread:.1f} %',
                )
            )
        hypothesis_sheet(path, panels, links)


def measure(
    records: Iterable[list[dict]], total: int, cfg: Config, dataset: Dataset
) -> tuple[list[dict], dict]:
    """Score the records of a :class:`Pass`.

    Args:
        records: Batches, for each S.
        total: How many there are.
        cfg: The config, for the arguments of the metrics in its ``test_evaluator``.
        dataset: The data set they are of.

    Returns:
        tuple: One dict of numbers for each S x N, in percent but the correlations and the ratio of
        error to spread; and the bins of the reliability by (S, N), for N > 1.
    """
    evaluators = cfg.test_evaluator
    evaluators = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]

    def build(name: str, *dropped: str) -> Any:
        given = next((e for e in evaluators if e['type'] == name), dict(type=name))
        metric = METRICS.build({k: v for k, v in given.items() if k not in dropped})
        metric.dataset_meta = dataset.metainfo
        return metric

    # The annotations are read once for all.
    precision = build('PoseTrackAP', 'outfile_prefix', 'format_only')
    quality = build('HypothesisQuality', 'numbers')
    metrics: dict = {}
    progress = ProgressBar(total)
    for batch in records:
        for record in batch:
            for (steps, number, kind), instances in record['cells'].items():
                entry = [dict(record, pred_instances=instances)]
                key = steps, number, kind
                if key not in metrics:
                    metrics[key] = fresh(precision)
                metrics[key].process([], entry)
                if kind == 'mean':
                    key = steps, number, 'quality'
                    if key not in metrics:
                        metrics[key] = fresh(quality)
                        metrics[key].numbers = [number]
                    metrics[key].process([], entry)
        progress.update()
    progress.file.write('\n')

    # The tables of each metric would be logged as well.
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        return summarise(metrics)
    finally:
        logger.setLevel(level)


def summarise(metrics: dict) -> tuple[list[dict], dict]:
    """Rows and bins, as :func:`measure` returns them, of metrics that have seen all records."""
    rows, bins = [], {}
    for steps, number, kind in metrics:
        if kind != 'quality':
            continue
        row: dict[str, Any] = dict(S=steps, N=number)
        for name in ('mean', 'consensus'):
            metric = metrics[steps, number, name]
            scores = metric.compute_metrics(metric.results)
            row[f'AP {name}'] = scores['AP']
            if 'AP (occluded)' in scores:
                row[f'AP occl. {name}'] = scores['AP (occluded)']
        metric = metrics[steps, number, kind]
        scores = metric.compute_metrics(metric.results)
        row['best-of-N PCK'] = scores[f'best-of-{number} PCK']
        row['best-of-N OKS'] = scores[f'best-of-{number} OKS']
        for name in ('mean PCK', 'mean double', 'consensus double', 'mean swap', 'consensus swap'):
            row[name] = scores[name]
        if number > 1:
            for name in ('Spearman', 'Spearman occluded', 'error/spread'):
                if name in scores:
                    row[name] = scores[name]
            bins[steps, number] = metric.bins
        rows.append(row)
    return rows, bins


def fresh(metric: Any) -> Any:
    """A metric with the same arguments and annotations, and without results."""
    metric = copy.copy(metric)
    metric.results = []
    return metric


def table(rows: Sequence[dict]) -> str:
    """The rows as a table in markdown, one decimal, two where 1 is much."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    small = ('Spearman', 'Spearman occluded', 'error/spread')

    def cell(row: dict, key: str) -> str:
        value = row.get(key)
        if value is None:
            return '-'
        return str(value) if key in 'SN' else f'{value:.{2 if key in small else 1}f}'

    lines = [columns, ['---:'] * len(columns), *([cell(r, c) for c in columns] for r in rows)]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def main(argv: Sequence[str] | None = None) -> list[dict]:
    """Measure as the command line says, print the table and draw it.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Returns:
        The rows of the table.

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


def run(args: argparse.Namespace) -> list[dict]:
    """Measure as parsed arguments say."""
    cfg = read_config(args.config)
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    merge_cfg_options(cfg, args.cfg_options)
    if args.batch_size < 1:
        raise ValueError(f'--batch-size {args.batch_size} must be at least 1')
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    model = MODELS.build(cfg.model)
    if not isinstance(model.head, DiffPoseHead):
        raise ValueError(
            f'config {args.config} has a {type(model.head).__name__}, which draws no hypotheses; '
            'give one with a DiffPoseHead'
        )
    steps, numbers = sorted(set(args.steps)), sorted(set(args.hypotheses))
    for field, values in (('sampling_steps', steps), ('num_hypotheses', numbers)):
        for value in values:
            model.head.check_test_cfg(dict(model.test_cfg, **{field: value}))
    check_checkpoint(model, args.checkpoint)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    check_clip_length(model, dataset)

    with open(args.checkpoint, 'rb') as file:
        weights = hashlib.file_digest(file, 'sha256').hexdigest()
    made_by = dict(
        config=osp.basename(args.config),
        checkpoint=osp.basename(args.checkpoint),
        sha256=weights,
        samples=len(dataset),
        hypotheses=numbers,
        test_cfg=dict(model.test_cfg),
    )
    settings = [cfg.model, cfg.test_dataloader.dataset, args.batch_size, made_by]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    folder = osp.join(args.out, f'predictions-{digest[:8]}')
    mmengine.mkdir_or_exist(folder)

    model.to(args.device or get_device()).eval()
    workers = cfg.test_dataloader.get('num_workers', 0)
    batches = Pass(model, dataset, steps, numbers, folder, args.batch_size, workers)
    people = People(batches, steps[-1], numbers[-1])
    rows, bins = measure(people, len(batches.batches) * len(steps), cfg, dataset)

    text = table(rows)
    with open(osp.join(args.out, 'hypotheses.md'), 'w', encoding='utf-8') as file:
        file.write(text + '\n')
    reliability = [dict(S=s, N=n, **kinds) for (s, n), kinds in bins.items()]
    mmengine.dump(
        dict(made_by, date=str(date.today()), rows=rows, reliability=reliability),
        osp.join(args.out, 'hypotheses.json'),
        indent=1,
    )
    step_curves(osp.join(args.out, 'hypotheses.png'), rows)
    if bins:
        largest = {f'S = {s}': kinds for (s, n), kinds in bins.items() if n == numbers[-1]}
        reliability_plot(osp.join(args.out, 'reliability.png'), largest, numbers[-1])
        links = dataset.metainfo['skeleton_links']
        people.draw(osp.join(args.out, 'people.png'), links)
    shutil.rmtree(folder)
    print(f'{text}\n{len(dataset)} people; written to {args.out}')
    return rows


if __name__ == '__main__':
    main()
