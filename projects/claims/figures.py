"""The pictures and tables of docs/steps.md, of what steps.py and calibration.py wrote.

python projects/claims/figures.py --steps projects/claims/steps.json \
    --calibration projects/claims/calibration.json --out docs/images
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use('Agg')
import matplotlib.pyplot as plt

LINES = {
    'from noise': dict(start='noise'),
    'from the first answer': dict(start='first answer', first_weight=0.0, first_scores=False),
    'and its scores': dict(start='first answer', first_weight=0.0, first_scores=True),
    'and 0.4 of it': dict(start='first answer', first_weight=0.4, first_scores=True),
}


def means(rows: Iterable[dict], number: int, settings: dict, field: str) -> tuple[list, list, list]:
    """Steps, means and standard deviations over the seeds."""
    found: dict[int, list[float]] = {}
    for row in rows:
        matches = all(row.get(key) == value for key, value in settings.items())
        # One step is the first answer, however later ones start.
        first = row['S'] == 1 and settings['start'] != 'noise'
        if row['N'] == number and row['aggregate'] == 'mean' and (matches or first):
            found.setdefault(row['S'], []).append(row[field])
    steps = sorted(found)
    return steps, [np.mean(found[s]) for s in steps], [np.std(found[s]) for s in steps]


def step_curves(path: Path, rows: Sequence[dict]) -> None:
    """AP and duplicate rate of one hypothesis over S."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout='constrained')
    for axis, field, label in zip(axes, ('AP', 'duplicates'), ('AP, %', 'duplicate rate, %')):
        for name, settings in LINES.items():
            steps, mean, std = means(rows, 1, settings, field)
            axis.errorbar(steps, mean, std, marker='o', capsize=3, label=name)
        first = means(rows, 1, LINES['from noise'], field)[1][0]
        axis.axhline(first if field == 'AP' else first / 2, color='0.6', linestyle=':')
        axis.set(xlabel='steps S', ylabel=label, xticks=sorted({row['S'] for row in rows}))
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].set_ylim(bottom=0)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def step_table(rows: Sequence[dict]) -> str:
    """Means over the seeds, in markdown; +- is their standard deviation."""
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        names = ('N', 'S', 'start', 'first_weight', 'first_scores', 'aggregate')
        groups.setdefault(tuple(row.get(name) for name in names), []).append(row)
    fields = ('AP', 'AP (occluded)', 'PCK', 'duplicates', 'inversions')
    heads = ('N', 'S', 'start', '`first_weight`', '`first_scores`', '`aggregate`', 'seeds')
    lines = [[*heads, *fields], ['---:', '---:', '---', '---:', '---', '---', *['---:'] * 6]]
    for (number, steps, start, weight, scores, aggregate), found in groups.items():
        cells = [number, steps, start, '' if weight is None else weight]
        cells += ['' if scores is None else scores, aggregate if number > 1 else '', len(found)]
        for field in fields:
            values = [row[field] for row in found]
            spread = f' ± {np.std(values, ddof=1):.1f}' if len(values) > 1 else ''
            cells.append(f'{np.mean(values):.1f}{spread}')
        lines.append(cells)
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def coverage_table(rows: Sequence[dict]) -> str:
    """Shares within one and two lengths, in markdown."""
    groups = list(rows[0]['raw'])
    lines = [
        ['S', 'N', '`keypoint_std`', *groups],
        ['---:', '---:', '---', *['---:'] * len(groups)],
    ]
    for row in rows:
        for kind in ('raw', 'calibrated'):
            cells = [f'{one:.1f} / {two:.1f}' for one, two in row[kind].values()]
            lines.append([row['S'], row['N'], kind, *cells])
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def coverage_bars(path: Path, rows: Sequence[dict]) -> None:
    """Shares within one and two keypoint_std, raw and calibrated."""
    figure, axes = plt.subplots(1, len(rows), figsize=(9, 3.2), sharey=True, layout='constrained')
    for axis, row in zip(np.atleast_1d(axes), rows):
        groups = list(row['raw'])
        for i, (kind, colour) in enumerate((('raw', '0.7'), ('calibrated', 'C0'))):
            one, two = (np.array([row[kind][group][n] for group in groups]) for n in (0, 1))
            at = np.arange(len(groups)) + 0.4 * i - 0.2
            axis.bar(at, two, 0.38, color=colour, alpha=0.45)
            axis.bar(at, one, 0.38, color=colour, label=kind)
        for share in (68, 95):
            axis.axhline(share, color='k', linewidth=0.8, linestyle=':')
        axis.set_xticks(range(len(groups)), groups)
        axis.set(title=f'S = {row["S"]}, N = {row["N"]}', ylim=(0, 100))
    np.atleast_1d(axes)[0].set_ylabel('joints within 1 (dark), 2 keypoint_std, %')
    handles = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(*handles, loc='outside upper right', ncols=2, frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


BOUND_GROUPS = {
    'occluded': 'occluded',
    'occluded, clear before and after': '... clear before\nand after',
    'unsure': 'unsure',
    'unsure, sure before and after': '... sure before\nand after',
    'wrong before': 'wrong before',
    'right before': 'right before',
}
BOUND_BARS = {
    'own': ('the frame alone', 'C0'),
    'between_estimates': ('between estimates of its neighbours', 'C1'),
    'between_true_places': ('between true places in its neighbours', '0.8'),
}


def time_bars(path: Path, rows: Sequence[dict], threshold: float) -> None:
    """Shares of right joints, by the frame alone and by its neighbours."""
    rows = [row for row in rows if row['threshold'] == threshold][:2]
    figure, axes = plt.subplots(len(rows), 1, figsize=(9, 5.4), layout='constrained')
    for axis, row in zip(np.atleast_1d(axes), rows):
        at = np.arange(len(BOUND_GROUPS))
        for i, (name, (label, colour)) in enumerate(BOUND_BARS.items()):
            shares = [row[group][name]['percent'] for group in BOUND_GROUPS]
            bars = axis.bar(at + 0.27 * (i - 1), shares, 0.25, color=colour, label=label)
            axis.bar_label(bars, fmt='%.0f', fontsize=7)
        numbers = [row[group]['own']['of'] for group in BOUND_GROUPS]
        labels = [f'{text}\n{n} joints' for text, n in zip(BOUND_GROUPS.values(), numbers)]
        axis.set_xticks(at, labels, fontsize=8)
        distance = f'{row["distance"]} frame{"s" if row["distance"] > 1 else ""} to either side'
        axis.set(ylabel='right joints, %', ylim=(0, 109), title=distance)
    handles = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(*handles, loc='outside upper center', ncols=3, frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def bound_table(rows: Sequence[dict], threshold: float) -> str:
    """All groups of joints at each distance, in markdown."""
    columns = ('own', 'between_estimates', 'own_or_between_estimates', 'between_true_places')
    heads = ['frames to either side', 'joints', 'how many', *(c.replace('_', ' ') for c in columns)]
    lines = [heads, ['---:', '---', *['---:'] * 5]]
    for row in rows:
        if row['threshold'] == threshold:
            for group, found in row.items():
                if isinstance(found, dict):
                    shares = [found[column]['percent'] for column in columns]
                    lines.append([row['distance'], group, found['own']['of'], *shares])
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw what is given, and print it as tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--steps', type=Path)
    parser.add_argument('--calibration', type=Path)
    parser.add_argument('--bound', type=Path, help='what time_bound.py wrote')
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args(argv)
    if args.steps:
        rows = json.loads(args.steps.read_text())['rows']
        if any(row['N'] == 1 and row['seed'] for row in rows):
            step_curves(args.out / 'steps.png', rows)
        print(step_table(rows))
    if args.calibration:
        rows = json.loads(args.calibration.read_text())['rows']
        coverage_bars(args.out / 'calibration.png', rows)
        print(coverage_table(rows))
    if args.bound:
        rows = json.loads(args.bound.read_text())['rows']
        time_bars(args.out / 'time.png', rows, 0.05)
        print(bound_table(rows, 0.05))


if __name__ == '__main__':
    main(sys.argv[1:])
