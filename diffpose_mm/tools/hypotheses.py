"""Quality of hypotheses: ``mim run diffpose_mm hypotheses CONFIG --checkpoint CHECKPOINT``."""

import argparse
import hashlib
import json
import os.path as osp
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import cv2
import mmengine
import numpy as np
from mmengine.config import DictAction
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.utils import ProgressBar
from mmpose.registry import DATASETS, MODELS

from diffpose_mm.configs import read_config
from diffpose_mm.engine.checkpoint import check_checkpoint
from diffpose_mm.engine.launch import (
    check_clip_length,
    merge_cfg_options,
    one_line_errors,
    set_data_root,
)
from diffpose_mm.evaluation.sweep import Sweep, SweepScores, data_digest
from diffpose_mm.loading import weights_digest
from diffpose_mm.models import DiffPoseHead
from diffpose_mm.visualization.hypothesis_figures import (
    HypothesisPanel,
    hypothesis_sheet,
    reliability_plot,
    step_curves,
)

NUM_PANELS = 6  # people on the sheet

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
  AP, AP occl.    average precision of all joints and of occluded ones (where annotations flag
                  them); of the mean heatmaps, and of the consensus, the whole hypothesis that
                  agrees best with the others (model.test_cfg.aggregate). With other metrics in
                  test_evaluator: all numbers of each
  best of N       PCK (joints within 0.1 of the person's size) and OKS of the hypothesis nearest to
                  the truth: an upper bound on any choice among them
  duplicate rate  left and right joint at one place while the true ones are apart, % of such pairs
  inversion rate  left taken for right and right for left, % of the same pairs
  Spearman        rank correlation of a joint's spread with its error, and on occluded joints
  error/spread    root mean square of error over that of spread: 1 is calibrated, above 1 the model
                  is overconfident

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
    parser.add_argument(
        'config', help='config file, or the name of a config shipped with diffpose_mm'
    )
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


class People:
    """Passes the records of a :class:`Sweep` on, and keeps those of one S and N to draw them."""

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
                    annotated = np.asarray(true['keypoints_visible'])[0] > 0
                    if annotated.any() and 'keypoint_std' in pose:
                        box = true['bboxes'][0]
                        deviations = np.linalg.norm(pose['keypoint_std'][0], axis=-1)[annotated]
                        size = np.sqrt((box[2:] - box[:2]).prod())
                        spread = float(deviations.mean() / size)
                        self.kept.append((spread, record['img_path'], pose, true))
            yield batch

    def draw(self, path: str, links: Sequence[tuple[int, int]]) -> None:
        """Draw people from the surest to the least sure but one in twenty."""
        self.kept.sort(key=lambda entry: entry[0])
        panels = []
        for place in np.linspace(0, 0.95 * (len(self.kept) - 1), NUM_PANELS).round().astype(int):
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


def measure(records: Iterable[list[dict]], total: int, scores: SweepScores) -> None:
    """Score the records of a :class:`Sweep`, showing the progress.

    Args:
        records: Batches, for each S.
        total: How many there are.
        scores: Take them.
    """
    progress = ProgressBar(total)
    for batch in records:
        scores.add(batch)
        progress.update()
    progress.file.write('\n')


def table(rows: Sequence[dict]) -> str:
    """The rows as a table in markdown; one decimal for percent, two or three where 1 is much."""
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def decimals(key: str) -> int:
        if key in ('Spearman', 'Spearman occluded', 'error/spread'):
            return 2
        return 3 if 0 < max(abs(row[key]) for row in rows if key in row) <= 1 else 1

    def cell(row: dict, key: str) -> str:
        if key not in row:
            return '-'
        return str(row[key]) if key in ('S', 'N') else f'{row[key]:.{decimals(key)}f}'

    lines = [columns, ['---:'] * len(columns), *([cell(r, c) for c in columns] for r in rows)]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def file_digest(path: str) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


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
    checkpoint = check_checkpoint(model, args.checkpoint)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    check_clip_length(model, dataset)
    scores = SweepScores(cfg.get('test_evaluator'), dataset.metainfo)

    made_by = dict(
        config=osp.basename(args.config),
        checkpoint=osp.basename(args.checkpoint),
        sha256=file_digest(args.checkpoint)
        if osp.isfile(args.checkpoint)
        else weights_digest(checkpoint['state_dict']),
        data=data_digest(dataset),
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
    sweep = Sweep(model, dataset, steps, numbers, folder, args.batch_size, workers)
    people = People(sweep, steps[-1], numbers[-1])
    measure(people, len(sweep), scores)
    rows, bins = scores.summarise()

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
