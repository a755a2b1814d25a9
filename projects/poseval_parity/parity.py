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


def make_regions(rng, size, number):
    """Random polygons: convex, concave, self-crossing, with repeated or collinear corners."""
    regions = []
    for _ in range(number):
        corners = rng.integers(0, size, (rng.integers(3, 9), 2))
        if rng.random() < 0.3:
            low, high = corners.min(axis=0), corners.max(axis=0)
            corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
        if rng.random() < 0.3:
            corners = np.concatenate([corners, corners[:1]])
        if rng.random() < 0.2:
            corners = np.insert(corners, 1, corners[0], axis=0)
        regions.append(corners.tolist())
    return regions


def make_case(rng, num_videos, num_frames, max_persons, size, quirks, names):
    """One random case.

    Returns:
        tuple: video name -> official ground truth; image id -> list of poses. With ``quirks``
        rare and degenerate things occur; without, the case resembles PoseTrack18.
    """
    videos, poses = {}, {}
    grid = quirks and rng.random() < 0.5
    tied = quirks and rng.random() < 0.5
    never_true = set(rng.choice(names, rng.integers(0, 3))) if quirks else set()
    never_predicted = set(rng.choice(names, rng.integers(0, 3))) if quirks else set()
    region_rate = rng.choice([0, 0.5, 1]) if quirks else 1
    track_size = 100 if grid else size
    for video in range(num_videos):
        name = f'{video + 1:06d}_mpii_test'
        images, annotations = [], []
        for frame in range(num_frames if not quirks else rng.integers(1, num_frames + 1)):
            image_id = 10000000000 + (video + 1) * 10000 + frame
            image = dict(
                id=image_id,
                frame_id=image_id,
                vid_id=f'{video + 1:06d}',
                nframes=num_frames,
                is_labeled=True,
                file_name=f'images/val/{name}/{frame:06d}.jpg',
            )
            if rng.random() < region_rate:
                regions = make_regions(rng, track_size, rng.integers(0, 4) if quirks else 8)
                image['ignore_regions_x'] = [[p[0] for p in region] for region in regions]
                image['ignore_regions_y'] = [[p[1] for p in region] for region in regions]
            images.append(image)
            persons = rng.integers(0, max_persons + 1) if quirks else max_persons
            frame_poses = []
            for person in range(persons):
                points = rng.uniform(0, track_size, (len(names), 2))
                if not quirks:
                    points = rng.uniform(0, track_size, 2) + rng.uniform(-120, 120, points.shape)
                head = [float(v) for v in (*points[0], *rng.uniform(5, 40, 2))]
                if grid:
                    points = np.round(points)
                    # 0.6 * 50 * 0.5: correct joints up to a distance of exactly 15 pixels.
                    head = [int(points[0, 0]), int(points[0, 1]), 30, 40]
                visible = rng.random(len(names)) < 0.8
                keypoints = np.column_stack([points, visible])
                hidden = ~visible & (rng.random(len(names)) < 0.7)
                keypoints[hidden] = 0
                for i, joint in enumerate(names):
                    if joint in never_true or joint.endswith('ear'):
                        keypoints[i] = 0
                if quirks and rng.random() < 0.05:
                    keypoints[:] = 0
                annotation = dict(
                    id=image_id * 100 + person,
                    image_id=image_id,
                    category_id=1,
                    track_id=person,
                    scores=[],
                    bbox_head=head,
                    keypoints=[int(v) if grid else float(v) for v in keypoints.ravel()],
                )
                if quirks and rng.random() < 0.1:
                    if rng.random() < 0.5:
                        annotation['bbox_head'] = [*head[:2], 0, 0]
                    else:
                        del annotation['bbox_head']
                annotations.append(annotation)
                if rng.random() < (0.8 if quirks else 0.95):
                    shift = rng.normal(0, 8, points.shape)
                    if grid:
                        steps = np.array([(0, 0), (9, 12), (15, 0), (0, -15), (16, 0), (12, 9)])
                        shift = steps[rng.integers(0, len(steps), len(names))]
                    frame_poses.append(points + shift)
            for _ in range(rng.integers(0, 3)):
                frame_poses.append(
                    rng.uniform(0, track_size, (len(names), 2)).round(0 if grid else 15)
                )
            if quirks and frame_poses and rng.random() < 0.3:
                frame_poses.append(frame_poses[rng.integers(len(frame_poses))].copy())
            if quirks and rng.random() < 0.15:
                frame_poses = []
            for points in frame_poses:
                scores = rng.random(len(names))
                if tied:
                    scores = rng.integers(0, 3, len(names)) / 2
                absent = rng.random(len(names)) < (0.1 if quirks else 0)
                absent |= np.array([joint in never_predicted for joint in names])
                if not quirks:
                    points = points.astype(np.float32)
                points = np.where(absent[:, None], 0, points)
                poses.setdefault(image_id, []).append(
                    dict(keypoints=points, keypoint_scores=np.where(absent, 0, scores), score=1.0)
                )
        rng.shuffle(annotations)
        videos[name] = dict(
            images=images,
            annotations=annotations,
            categories=[dict(id=1, name='person', supercategory='person', keypoints=list(names))],
        )
    return videos, poses


def write_ground_truth(folder, videos, for_poseval):
    """Write the official folder.

    poseval raises on a person without a head box in a frame with predictions, and on a file
    without images. Its copy has an empty head box there, and no such file.
    """
    folder.mkdir(parents=True)
    for name, content in videos.items():
        if for_poseval:
            if not content['images']:
                continue
            content = dict(
                content,
                annotations=[
                    dict(a, bbox_head=a.get('bbox_head', [0, 0, 0, 0]))
                    for a in content['annotations']
                ],
            )
        (folder / f'{name}.json').write_text(json.dumps(content))


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


def number_poses(rng, poses):
    """Give poses track ids, unique in a frame: mostly their place in it, sometimes others."""
    for found in poses.values():
        numbers = np.arange(len(found))
        if rng.random() < 0.4:
            numbers = rng.permutation(len(found) + 3)[: len(found)]
        for pose, number in zip(found, numbers.tolist()):
            pose['track_id'] = number


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
