"""Compare this package's PoseTrack AP and MOTA with poseval's, on random cases and in speed.

poseval is not part of this repository; README.md beside this file says how to install it.
"""

import argparse
import contextlib
import glob
import io
import json
import shutil
import tempfile
import time
import types
import warnings
from pathlib import Path

import numpy as np
from cases import make_case, number_poses, write_ground_truth

from diffpose_mm.evaluation import (
    evaluate_poses,
    evaluate_tracks,
    load_ground_truth,
    load_submission,
    predicted_poses,
    write_submission,
)
from diffpose_mm.evaluation.posetrack_files import KEYPOINTS
from diffpose_mm.evaluation.posetrack_protocol import JOINTS

try:
    from poseval import eval_helpers
    from poseval.evaluateAP import evaluateAP
    from poseval.evaluateTracking import evaluateTracking
except ImportError as error:
    raise SystemExit(
        'poseval is not installed; projects/poseval_parity/README.md says how'
    ) from error

# poseval takes the videos in the file system's order, on which ties in score depend.
eval_helpers.glob = types.SimpleNamespace(glob=lambda pattern: sorted(glob.glob(pattern)))


def run_poseval(ground_truth, submission):
    """Per-joint AP (15,) and total of poseval, with the seconds for loading and evaluation."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        begin = time.process_time()
        frames = eval_helpers.load_data_dir(['', f'{ground_truth}/', f'{submission}/'])
        loaded = time.process_time()
        ap, _, _ = evaluateAP(*frames, None, False, False)
        done = time.process_time()
    return ap[:, 0], loaded - begin, done - loaded


def run_ours(ground_truth, submission):
    """The same from this package."""
    begin = time.process_time()
    truth = load_ground_truth(ground_truth)
    predicted = predicted_poses(load_submission(submission, truth), truth)
    loaded = time.process_time()
    result = evaluate_poses(truth.poses, predicted)['all']
    done = time.process_time()
    return np.append(result.ap, result.mean), loaded - begin, done - loaded


def difference(a, b):
    """Largest absolute difference; NaN must stand against NaN."""
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return float('inf')
    return float(np.nanmax(np.abs(a - b), initial=0))


def random_parity(num_cases, seed, work_dir):
    """Largest difference over random cases, and how many cases showed each edge condition."""
    worst, seen = (
        0.0,
        dict.fromkeys(
            (
                'ties in score',
                'ignore regions',
                'persons without head box',
                'frames without persons',
                'frames without predictions',
                'videos without persons',
                'videos without frames',
                'joints never annotated',
                'submissions without scores',
                '15 joint names',
            ),
            0,
        ),
    )
    for case in range(num_cases):
        rng = np.random.default_rng((seed, case))
        names = KEYPOINTS if rng.random() < 0.8 else [n for n in KEYPOINTS if n in JOINTS]
        videos, poses = make_case(
            rng, rng.integers(1, 4), int(rng.choice([1, 3, 8, 30])), 5, 200, True, names
        )
        if rng.random() < 0.2:
            for content in list(videos.values())[1:]:
                content['annotations'] = []
        if rng.random() < 0.2:
            first = next(iter(videos.values()))
            videos['999999_mpii_test'] = dict(first, images=[], annotations=[])
        if not any('bbox_head' in a for v in videos.values() for a in v['annotations']):
            for content in videos.values():
                content['annotations'] = []
        folder = work_dir / f'{case:06d}'
        write_ground_truth(folder / 'gt', videos, False)
        write_ground_truth(folder / 'gt_poseval', videos, True)
        truth = load_ground_truth(folder / 'gt')
        write_submission(folder / 'pred', poses, truth, names)

        without_scores = rng.random() < 0.1
        if without_scores:
            for file in (folder / 'pred').iterdir():
                content = json.loads(file.read_text())
                for annotation in content['annotations'][::2]:
                    annotation['scores'] = []
                file.write_text(json.dumps(content))

        official, *_ = run_poseval(folder / 'gt_poseval', folder / 'pred')
        from_files, *_ = run_ours(folder / 'gt', folder / 'pred')
        gap = difference(official, from_files)
        if not without_scores:
            merged = folder / 'posetrack18_val.json'
            merged.write_text(
                json.dumps(
                    dict(
                        images=[i for v in videos.values() for i in v['images']],
                        annotations=[a for v in videos.values() for a in v['annotations']],
                        categories=next(iter(videos.values()))['categories'],
                    )
                )
            )
            truth = load_ground_truth(merged)
            in_memory = evaluate_poses(truth.poses, predicted_poses(poses, truth, names))['all']
            gap = max(gap, difference(official, np.append(in_memory.ap, in_memory.mean)))
        if gap > 1e-6:
            print(f'case {case}: difference {gap}; kept in {folder}')
        else:
            shutil.rmtree(folder)
        worst = max(worst, gap)

        scores = [s for p in poses.values() for q in p for s in q['keypoint_scores'] if s > 0]
        annotations = [a for v in videos.values() for a in v['annotations']]
        images = [i for v in videos.values() for i in v['images']]
        seen['ties in score'] += len(set(scores)) < len(scores)
        seen['ignore regions'] += any(i.get('ignore_regions_x') for i in images)
        seen['persons without head box'] += any('bbox_head' not in a for a in annotations)
        seen['frames without persons'] += len({a['image_id'] for a in annotations}) < len(images)
        seen['frames without predictions'] += len(poses) < len(images)
        seen['videos without persons'] += any(
            v['images'] and not v['annotations'] for v in videos.values()
        )
        seen['videos without frames'] += any(not v['images'] for v in videos.values())
        seen['joints never annotated'] += bool(np.isnan(official[:15]).any())
        seen['submissions without scores'] += without_scores
        seen['15 joint names'] += len(names) == 15
    return worst, seen


def tracking_parity(num_cases, seed, work_dir):
    """Largest difference of MOTA, precision and recall, and the sums of what occurred."""
    worst, seen = (
        0.0,
        dict.fromkeys(
            ('cases with annotated frames', 'frames', 'poses', 'videos of one annotated frame'), 0
        ),
    )
    for case in range(num_cases):
        rng = np.random.default_rng((seed, case, 1))
        videos, poses = make_case(
            rng, rng.integers(1, 4), int(rng.choice([2, 6, 15])), 5, 200, True, KEYPOINTS
        )
        if not any('bbox_head' in a for v in videos.values() for a in v['annotations']):
            continue
        number_poses(rng, poses)
        folder = work_dir / f'{case:06d}'
        write_ground_truth(folder / 'gt', videos, False)
        write_ground_truth(folder / 'gt_poseval', videos, True)
        truth = load_ground_truth(folder / 'gt')
        write_submission(folder / 'pred', poses, truth, KEYPOINTS)
        for name, content in videos.items():
            if len({a['image_id'] for a in content['annotations']}) == 1:
                # Its last annotated frame does not count, and poseval raises as none is left.
                (folder / 'gt_poseval' / f'{name}.json').unlink()
                seen['videos of one annotated frame'] += 1
        predicted = predicted_poses(load_submission(folder / 'pred', truth), truth)
        ours = evaluate_tracks(truth, predicted)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            frames = eval_helpers.load_data_dir(['', f'{folder}/gt_poseval/', f'{folder}/pred/'])
            if not frames[0]:
                shutil.rmtree(folder)
                continue
            official = evaluateTracking(*frames, '', False, False)
        gap = 0.0
        for key, values, mean in zip(
            ('mota', 'pre', 'rec'), (ours.mota, ours.precision, ours.recall), ours.means.values()
        ):
            gap = max(gap, difference(official[key][0], np.append(values, mean)))
        if gap > 1e-6:
            print(f'case {case}: difference {gap}; kept in {folder}')
        else:
            shutil.rmtree(folder)
        worst = max(worst, gap)
        seen['cases with annotated frames'] += 1
        seen['frames'] += truth.poses.num_frames
        seen['poses'] += len(predicted.frame)
    return worst, seen


def speed(num_frames, num_persons, seed, work_dir):
    """Times of both on one case that resembles PoseTrack18's size."""
    rng = np.random.default_rng(seed)
    videos, poses = make_case(rng, num_frames // 100, 100, num_persons, 1000, False, KEYPOINTS)
    write_ground_truth(work_dir / 'gt', videos, False)
    truth = load_ground_truth(work_dir / 'gt')
    begin = time.process_time()
    write_submission(work_dir / 'pred', poses, truth)
    write = time.process_time() - begin
    begin = time.process_time()
    in_memory = evaluate_poses(truth.poses, predicted_poses(poses, truth))['all']
    direct = time.process_time() - begin
    ours, our_load, our_time = run_ours(work_dir / 'gt', work_dir / 'pred')
    official, load, seconds = run_poseval(work_dir / 'gt', work_dir / 'pred')
    gap = max(
        difference(official, ours), difference(official, np.append(in_memory.ap, in_memory.mean))
    )

    print(
        f'{truth.poses.num_frames} frames, {len(truth.poses.frame)} persons, '
        f'{sum(map(len, poses.values()))} predictions, '
        f'{sum(map(len, truth.poses.ignore_regions))} ignore regions; CPU seconds:'
    )
    print(
        f'  a validation, predictions in memory: poseval {write + load + seconds:.1f} '
        f'(writes {write:.1f}, loads {load:.1f}, evaluates {seconds:.1f}), ours {direct:.1f}: '
        f'{(write + load + seconds) / direct:.0f} times'
    )
    # poseval deletes what lies in ignore regions while it loads; this package while it evaluates.
    print(
        f'  without writing: poseval {load + seconds:.1f}, ours {direct:.1f}: '
        f'{(load + seconds) / direct:.0f} times'
    )
    print(
        f'  a folder of files against a folder of files: poseval {load + seconds:.1f}, ours '
        f'{our_load + our_time:.1f} (loads {our_load:.1f}, evaluates {our_time:.1f}): '
        f'{(load + seconds) / (our_load + our_time):.0f} times'
    )
    print(f'  AP {official[-1]:.6f} and {ours[-1]:.6f}, largest difference {gap:.2e}')


def main():
    """Run both comparisons and print their results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cases', type=int, default=1000, help='number of random cases')
    parser.add_argument('--frames', type=int, default=5000, help='frames of the timed case')
    parser.add_argument('--persons', type=int, default=6, help='persons a frame of it')
    parser.add_argument('--tracking-cases', type=int, default=200, help='random cases for MOTA')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--ground-truth',
        type=Path,
        help='official annotation folder; with --predictions, compare on these',
    )
    parser.add_argument('--predictions', type=Path, help='submission folder')
    args = parser.parse_args()
    if args.ground_truth and args.predictions:
        official, *_ = run_poseval(args.ground_truth, args.predictions)
        ours, *_ = run_ours(args.ground_truth, args.predictions)
        for joint, a, b in zip((*JOINTS, 'mean'), official, ours):
            print(f'{joint:15} {a:10.6f} {b:10.6f}')
        print(f'largest difference {difference(official, ours):.2e}')
        return
    work_dir = Path(tempfile.mkdtemp(prefix='poseval_parity_'))
    worst, seen = random_parity(args.cases, args.seed, work_dir / 'cases')
    print(f'{args.cases} random cases, seed {args.seed}: largest difference of any AP {worst:.2e}')
    for name, number in seen.items():
        print(f'  {number:6d} with {name}')
    tracking, seen = tracking_parity(args.tracking_cases, args.seed, work_dir / 'tracking')
    print(
        f'{args.tracking_cases} random cases: largest difference of any MOTA, precision or '
        f'recall {tracking:.2e}; ' + ', '.join(f'{n} {what}' for what, n in seen.items())
    )
    worst = max(worst, tracking)
    if args.frames:
        speed(args.frames, args.persons, args.seed, work_dir / 'speed')
    if worst <= 1e-6:
        shutil.rmtree(work_dir)


if __name__ == '__main__':
    main()
