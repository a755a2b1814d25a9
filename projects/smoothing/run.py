"""Smoothers beside each other: how much steadier, how much nearer to the truth, and where not.

    python projects/smoothing/run.py --out work_dirs/smoothing

synthesizes held-out videos, poses them once (both are kept in OUT), smooths them in every way of
the table of docs/smoothing.md and prints it. With --real SHARED and --labels DIR (see
projects/real/compare.py) also the man who is seen by four cameras. OUT/smoothing.json has all
figures and what they were made of.
"""

import argparse
import datetime
import json
import subprocess
from pathlib import Path

import numpy as np
import posing
import real
from pictures_over_time import draw
from scoring import score

from diffpose_mm.smoothing import RTS, OneEuro, smooth_predictions
from diffpose_mm.synthetic import DIFFICULTIES

TUNED_ON = dict(seed_0=6, seed_4=7)
"""Videos that settings were chosen on; they are not reported. That of the row for a steady camera:
seed 1 of the difficulty slow."""
COUNT, FRAMES = 10, 48
WAYS = {
    'as posed': None,
    'One-Euro, as published': OneEuro(together=False),
    'One-Euro': OneEuro(),
    'RTS, one noise for all': RTS(
        noise='constant', constant=0.026, agility=4.5, doubt=0.076, reach=0.5
    ),
    'RTS, by score': RTS(noise='score'),
    'RTS, by spread': RTS(
        noise='std',
        agility=4.7,
        std_gain=0.18,
        score_gain=0,
        doubt=0.02,
        doubt_by_std=1.8,
        doubt_by_score=0,
        reach=0.62,
    ),
    'RTS, by spread and score': RTS(noise='std'),
    '... without outliers': RTS(noise='std', doubt=0, doubt_by_std=0, doubt_by_score=0),
    '... without shared movement': RTS(noise='std', sway=0),
    '... with shared trembling': RTS(noise='std', still=0),
    'RTS, for a steady camera': RTS(noise='std', agility=1.5, sway=0),
    'RTS, told the true errors': RTS(
        noise='std',
        floor=0.003,
        std_gain=1.0,
        score_gain=0,
        doubt=0,
        doubt_by_std=0,
        doubt_by_score=0,
    ),
}
ORACLE = 'RTS, told the true errors'
"""What the same smoother would reach if the spread were each joint's distance from the truth."""
COLUMNS = ('PCK', 'occluded', 'clear', 'error', 'MPJVE', 'MPJAE', 'jitter')


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/smoothing'))
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument('--count', type=int, default=COUNT, help='videos a seed')
    parser.add_argument('--frames', type=int, default=FRAMES, help='of each video')
    parser.add_argument('--difficulty', choices=list(DIFFICULTIES), default='standard')
    parser.add_argument('--real', metavar='SHARED', help='folder with real/videos')
    parser.add_argument('--labels', help='with --real: OUT/labels of projects/real/compare.py')
    parser.add_argument('--cameras', type=int, default=4, help='with --real: the first so many')
    parser.add_argument('--figure', help='write the figure of docs/smoothing.md here')
    args = parser.parse_args()
    sets: dict[str, list] = {
        f'seed {seed}': list(
            posing.videos(args.out, seed, args.count, args.frames, args.difficulty)
        )
        for seed in args.seeds
    }
    if args.real:
        folder = Path(args.real, 'real', 'videos')
        sets['real'] = real.videos(folder, args.labels, args.out, args.cameras)
    result: dict = dict(
        date=datetime.date.today().isoformat(),
        commit=commit(),
        difficulty=args.difficulty,
        tuned_on=TUNED_ON,
        figures={},
    )
    for name, videos in sets.items():
        result['figures'][name] = {way: score(smoothed(videos, way)) for way in WAYS}
        print(table(name, result['figures'][name]), flush=True)
    seeds = [result['figures'][f'seed {seed}'] for seed in args.seeds]
    mean = {
        way: {column: float(np.mean([figures[way][column] for figures in seeds]))
              for column in COLUMNS}
        for way in WAYS
    }  # fmt: skip
    result['figures']['mean of seeds'] = mean
    print(table('mean of seeds', mean))
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1).replace('NaN', 'null')  # none of the real joints is hidden
    (args.out / 'smoothing.json').write_text(text + '\n')
    if args.figure:
        videos = next(iter(sets.values()))
        draw(args.figure, videos, smoothed(videos, 'RTS, by spread and score'))


def smoothed(videos: list, way: str) -> list:
    """Videos with their predictions smoothed in a way of the table."""
    settings = WAYS[way]
    if way == ORACLE:
        videos = [(told(predictions, truth), truth) for predictions, truth in videos]
    if settings is None:
        return videos
    method = 'one-euro' if isinstance(settings, OneEuro) else 'rts'
    return [
        (smooth_predictions(predictions, method, settings), truth) for predictions, truth in videos
    ]


def told(predictions: list, truth: dict) -> list:
    """Predictions whose spread is the true error, where the joint is annotated."""
    out = []
    for entry in predictions:
        people = []
        for person in entry['instances']:
            std = np.array(person['keypoint_std'])
            real = truth.get(person['track_id'])
            row = None if real is None else np.flatnonzero(real.frames == entry['frame_id'])
            if row is not None and len(row):
                away = np.linalg.norm(person['keypoints'] - real.points[row[0]], axis=-1)
                known = real.present[row[0]]
                std[known] = away[known, None] / np.sqrt(2)
            people.append({**person, 'keypoint_std': std.tolist()})
        out.append({**entry, 'instances': people})
    return out


def table(name: str, figures: dict[str, dict[str, float]]) -> str:
    """The rows of a set of videos, in Markdown."""
    raw = figures['as posed']['MPJAE']
    lines = [
        f'| {name} | PCK@0.1 | occluded | clear | error px | MPJVE | MPJAE | of raw | jitter |',
        '|---|' + '---:|' * 8,
    ]
    for way, found in figures.items():
        cells = [f'{found[column]:.2f}' for column in COLUMNS]
        cells.insert(6, f'{found["MPJAE"] / raw:.2f}')
        lines.append(f'| {way} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines).replace('nan', '') + '\n'


def commit() -> str:
    """The commit that is measured, marked where files differ from it."""
    git = ['git', '-C', str(Path(__file__).resolve().parent)]
    head = subprocess.check_output([*git, 'rev-parse', '--short', 'HEAD'], text=True).strip()
    changed = subprocess.check_output([*git, 'status', '--porcelain', '-uno'], text=True)
    return head + ('+' if changed.strip() else '')


if __name__ == '__main__':
    main()
