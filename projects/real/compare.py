"""DiffPose on real people beside MoveNet Thunder, on the same boxes of videos that it never saw.

    python projects/real/compare.py ../shared --out work_dirs/real

prints the table of docs/real_people.md and writes it, with what it was made of, to OUT/compare.json
and a picture to OUT/compare.png. The teacher labels the videos first (OUT/labels); what is there is
not made again.
"""

import argparse
import datetime
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from clips import DAMAGES, pose, read_clips, without_time
from pictures import draw_examples
from triangulation import from_other_views, read_calibration
from videos import cost, jitter, joints_of, main_person, pose_video, read_teacher

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.apis.defaults import MODEL
from diffpose_mm.apis.poser import ClipPoser, FramePoser
from diffpose_mm.apis.sources import find_source
from diffpose_mm.apis.windows import clip_offsets
from diffpose_mm.tools import pseudo_label

BALANCE = [f'balance_cam{i}' for i in range(1, 5)]
HELD_OUT = [*BALANCE, 'juggle']
PARTS = ('damage', 'videos', 'cost', 'figure')
BODY = slice(5, 17)
"""Shoulders to ankles; eyes and ears of a man seen from behind are guesses."""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('shared', help='folder with real/videos')
    parser.add_argument('--out', default='work_dirs/real', help='(default: %(default)s)')
    parser.add_argument('--config', default='diffpose_real')
    parser.add_argument('--checkpoint', default=MODEL[1])
    parser.add_argument('--every', type=int, default=4, help='every so many people of the set')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='of the damage')
    parser.add_argument('--only', nargs='+', choices=PARTS)
    args = parser.parse_args()
    videos, labels = Path(args.shared, 'real', 'videos'), str(Path(args.out, 'labels'))
    paths = [str(videos / f'{name}.mp4') for name in HELD_OUT]
    # The teacher's own words: not steadied, so that nothing favours a model that is.
    pseudo_label.main([*paths, '--out', labels, '--split', 'val', '--smooth', '0', '--tiles', '0'])
    ours = DiffPoseInferencer(args.config, args.checkpoint, device='cpu')
    thunder = DiffPoseInferencer('movenet_thunder', 'shipped://movenet-thunder', device='cpu')
    parts = args.only or PARTS
    result: dict = dict(
        date=datetime.date.today().isoformat(),
        commit=commit(),
        checkpoint=args.checkpoint,
        held_out=HELD_OUT,
        every=args.every,
        seeds=args.seeds,
    )
    if 'damage' in parts:
        pictures = Path(args.shared, 'data', 'posetrack18_sample')
        result['damage'] = {
            damage: damaged(ours, thunder, labels, damage, args, str(pictures))
            for damage in DAMAGES
        }
    if 'videos' in parts:
        result['videos'] = whole_videos(ours, thunder, videos, labels)
    if 'cost' in parts:
        frames = [f.image for f in opened(str(videos / 'balance_cam1.mp4'))]
        people = main_person(read_teacher(labels, 'balance_cam1'))
        result['cost'] = cost(ours, thunder, frames, people)
    if 'figure' in parts:
        draw_figure(ours, thunder, labels, Path(args.out, 'real_people.jpg'))
    Path(args.out, 'compare.json').write_text(json.dumps(result, indent=1) + '\n')
    print(table(result))


def commit() -> str:
    """The commit that is measured, marked where files differ from it."""
    git = ['git', '-C', str(Path(__file__).resolve().parent)]
    head = subprocess.check_output([*git, 'rev-parse', '--short', 'HEAD'], text=True).strip()
    changed = subprocess.check_output([*git, 'status', '--porcelain', '-uno'], text=True)
    return head + ('+' if changed.strip() else '')


def opened(path: str) -> list:
    """All frames of a video."""
    source = find_source(path, True)
    source.open()
    try:
        return list(source)
    finally:
        source.close()


def damaged(
    ours: DiffPoseInferencer,
    thunder: DiffPoseInferencer,
    labels: str,
    damage: str,
    args: argparse.Namespace,
    pictures: str,
) -> dict:
    """PCK@0.1 of a kind of damage: share of joints within 0.1 of the person's size of the labels.

    Returns:
        dict: ``joints`` that count (under the occluder, or all with labels); by model the share,
        one a seed.
    """
    posers = {
        'thunder': FramePoser(thunder.model, thunder.pipeline),
        'ours': ClipPoser(ours.model, ours.pipeline),
    }
    seeds = args.seeds if damage != 'whole' else args.seeds[:1]
    found: dict = dict(joints=0, thunder=[], ours=[], without_time=[])
    for seed in seeds:
        clips = list(read_clips(labels, clip_offsets(ours.cfg), damage, seed, args.every, pictures))
        counted = np.stack([c.occluded if damage == 'occluded' else c.labelled for c in clips])
        truth = np.stack([clip.joints for clip in clips])
        size = np.array([clip.size for clip in clips])[:, None]
        jobs = [clip.job for clip in clips]
        answers = {name: pose(poser, jobs) for name, poser in posers.items()}
        answers['without_time'] = pose(posers['ours'], [without_time(clip) for clip in clips])
        for name, joints in answers.items():
            near = np.linalg.norm(joints - truth, axis=-1) <= 0.1 * size
            found[name].append(round(float(100 * near[counted].mean()), 2))
        found['joints'] += int(counted.sum())
        if seed == seeds[0]:
            draw_examples(
                Path(args.out, f'compare_{damage}.png'),
                [clip for clip in clips if clip.video.startswith('balance')],
                {n: [a for a, c in zip(v, clips) if c.video.startswith('balance')]
                 for n, v in answers.items()},
            )  # fmt: skip
        print(f'{damage}, seed {seed}: {found}', file=sys.stderr, flush=True)
    return found


def draw_figure(
    ours: DiffPoseInferencer, thunder: DiffPoseInferencer, labels: str, path: Path
) -> None:
    """The picture of the README: four clips whose occluders are pieces of the clip itself."""
    clips = [
        clip
        for clip in read_clips(labels, clip_offsets(ours.cfg), 'occluded', 0, 40, None)
        if clip.video.startswith('balance')
    ]
    jobs = [clip.job for clip in clips]
    posers = dict(
        thunder=FramePoser(thunder.model, thunder.pipeline),
        ours=ClipPoser(ours.model, ours.pipeline),
    )
    draw_examples(path, clips, {name: pose(poser, jobs) for name, poser in posers.items()}, 4)


def whole_videos(
    ours: DiffPoseInferencer, thunder: DiffPoseInferencer, videos: Path, labels: str
) -> dict:
    """Distance from the other cameras' joints, and jitter, on whole undamaged videos."""
    people = {name: main_person(read_teacher(labels, name)) for name in HELD_OUT}
    given = {name: joints_of(people[name]) for name in HELD_OUT}
    answers: dict[str, dict[str, np.ndarray]] = dict(thunder={}, thunder_once={}, ours={})
    with_flip = thunder.model.test_cfg
    for name in HELD_OUT:
        path = str(videos / f'{name}.mp4')
        # The labels are Thunder's answers on these very boxes, with the flip test: two passes.
        answers['thunder'][name] = given[name][0]
        answers['ours'][name] = pose_video(ours, path, people[name])
        thunder.model.test_cfg = dict(with_flip, flip_test=False)
        answers['thunder_once'][name] = pose_video(thunder, path, people[name])
        thunder.model.test_cfg = with_flip
    cameras = read_calibration(videos / 'balance_calibration.qca.txt')
    pixels = np.stack([given[name][0] for name in BALANCE])
    weights = np.stack([given[name][1] for name in BALANCE])
    truth = from_other_views(cameras, pixels, weights)
    found: dict = dict(triangulation={}, jitter={}, jitter_by_video={}, further_than={})
    distances = {}
    sizes = {
        name: float(np.median([max(np.subtract(p['bbox'][0][2:], p['bbox'][0][:2]))
                               for p in people[name] if p]))
        for name in HELD_OUT
    }  # fmt: skip
    for model, joints in answers.items():
        away = np.stack([np.linalg.norm(joints[n] - t, axis=-1) for n, t in zip(BALANCE, truth)])
        away = away[:, :, BODY] / np.array([sizes[n] for n in BALANCE])[:, None, None]
        found['triangulation'][model] = dict(
            median=round(100 * float(np.nanmedian(away)), 3),
            mean=round(100 * float(np.nanmean(away)), 3),
            pck_005=round(100 * float((away[np.isfinite(away)] <= 0.05).mean()), 2),
            pck_01=round(100 * float((away[np.isfinite(away)] <= 0.1).mean()), 2),
        )
        distances[model] = away
        lengths = {}
        for name in HELD_OUT:
            fps = read_teacher(labels, name)[0]['meta']['fps']
            lengths[name] = jitter(joints[name], given[name][0], sizes[name], fps)
        found['jitter_by_video'][model] = {
            n: round(100 * float(v.mean()), 4) for n, v in lengths.items()
        }
        together = np.concatenate(list(lengths.values()))
        found['jitter'][model] = round(100 * float(together.mean()), 4)
        found['jitter_joints'] = len(together)
    for other in ('thunder', 'thunder_once'):
        found['further_than'][other] = interval(distances['ours'] - distances[other])
    return found


def interval(difference: np.ndarray, block: int = 10, draws: int = 2000) -> list[float]:
    """Mean of (V, F, K) differences in per cent of the size, and its 95 % interval.

    By bootstrap over blocks of frames of a view: neighbouring frames are much alike.
    """
    views, frames, _ = difference.shape
    blocks = [
        np.nanmean(difference[v, i : i + block])
        for v in range(views)
        for i in range(0, frames, block)
    ]
    generator = np.random.default_rng(0)
    means = generator.choice(blocks, (draws, len(blocks))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return [round(100 * float(value), 3) for value in (np.mean(blocks), low, high)]


def table(result: dict) -> str:
    """The figures, as the docs have them."""
    lines = ['| figure | Thunder | DiffPose | neighbours := keyframe |', '|---|---:|---:|---:|']

    def mean(values: list[float]) -> str:
        return f'{np.mean(values):.1f}'

    for damage, found in result.get('damage', {}).items():
        what = 'joints under the occluder' if damage == 'occluded' else 'all joints'
        lines.append(
            f'| {damage} keyframe, {what}, PCK@0.1 | {mean(found["thunder"])} | '
            f'{mean(found["ours"])} | {mean(found["without_time"])} |'
        )
    if 'videos' in result:
        near, jit = result['videos']['triangulation'], result['videos']['jitter']
        lines += [
            '',
            '| on whole videos | Thunder, flipped too | Thunder | DiffPose |',
            '|---|---:|---:|---:|',
        ]
        for key, text in dict(
            median="distance from the other cameras' joints, median, % of the size",
            mean='the same, mean',
            pck_005='joints within 0.05 of it, %',
            pck_01='joints within 0.1 of it, %',
        ).items():
            row = ' | '.join(str(near[model][key]) for model in ('thunder', 'thunder_once', 'ours'))
            lines.append(f'| {text} | {row} |')
        further = [
            '{:+.3f} ({:+.3f} to {:+.3f})'.format(*result['videos']['further_than'][other])
            for other in ('thunder', 'thunder_once')
        ]
        lines.append(f'| DiffPose is further by, mean (95 %) | {further[0]} | {further[1]} | |')
        lines.append(
            f'| jitter of slow joints, % of the size | {jit["thunder"]} | {jit["thunder_once"]} | '
            f'{jit["ours"]} (x {jit["ours"] / jit["thunder"]:.2f}, '
            f'x {jit["ours"] / jit["thunder_once"]:.2f}) |'
        )
    if 'cost' in result:
        spent = result['cost']
        lines.append(
            f'| person-frame of a stream, ms of processor time | | {spent["thunder_ms"]:.0f} | '
            f'{spent["ours_ms"]:.0f} (x {spent["ratio"]:.2f}) |'
        )
    return '\n'.join(lines)


if __name__ == '__main__':
    main()
