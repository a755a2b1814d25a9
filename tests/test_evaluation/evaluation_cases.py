"""A small random PoseTrack18 dataset, as files and as predictions, for the evaluation's tests."""

import copy
import json
from fractions import Fraction

import numpy as np

from diffpose_mm.posetrack.keypoints import KEYPOINTS as POSETRACK_KEYPOINTS

KEYPOINTS = list(POSETRACK_KEYPOINTS)


def make_dataset(seed, num_videos=2, num_frames=4, max_persons=4, flags=True, tied=False):
    """COCO-style content, and image id -> list of (keypoints (17, 2), scores (17,))."""
    rng = np.random.default_rng(seed)
    images, annotations, poses = [], [], {}
    for video in range(num_videos):
        for frame in range(num_frames):
            image_id = 10000000000 + (video + 1) * 10000 + frame
            image = dict(
                id=image_id,
                frame_id=image_id,
                vid_id=f'{video + 1:06d}',
                nframes=num_frames,
                is_labeled=True,
                width=200,
                height=200,
                file_name=f'images/val/{video + 1:06d}_mpii_test/{frame:06d}.jpg',
            )
            if rng.random() < 0.6:
                regions = [rng.integers(0, 200, (rng.integers(1, 7), 2)) for _ in range(2)]
                image['ignore_regions_x'] = [r[:, 0].tolist() for r in regions]
                image['ignore_regions_y'] = [r[:, 1].tolist() for r in regions]
            images.append(image)
            found = []
            for person in range(rng.integers(0, max_persons + 1)):
                points = rng.integers(1, 200, (17, 2))
                visible = rng.random(17) < 0.8
                visible[3:5] = False
                annotation = dict(
                    id=image_id * 100 + person,
                    image_id=image_id,
                    category_id=1,
                    track_id=person,
                    iscrowd=0,
                    num_keypoints=int(visible.sum()),
                    scores=[],
                    bbox=[0, 0, 200, 200],
                    bbox_head=[*points[0].tolist(), int(rng.integers(20, 60)), 40],
                    keypoints=np.column_stack([points * visible[:, None], visible])
                    .ravel()
                    .tolist(),
                )
                if rng.random() < 0.1:
                    del annotation['bbox_head']
                if flags:
                    annotation['occluded'] = (rng.random(17) < 0.4).astype(int).tolist()
                    annotation['blurred'] = (rng.random(17) < 0.4).astype(int).tolist()
                annotations.append(annotation)
                if rng.random() < 0.8:
                    found.append(points + rng.normal(0, 9, (17, 2)))
            for _ in range(rng.integers(0, 3)):
                found.append(rng.uniform(0, 200, (17, 2)))
            if found and rng.random() < 0.3:
                found.append(found[0].copy())
            scores = [rng.integers(1, 4, 17) / 4 if tied else rng.random(17) for _ in found]
            if found:
                poses[image_id] = list(zip(found, scores))
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='person', supercategory='person', keypoints=list(KEYPOINTS))],
    )
    return content, poses


def write_both(folder, content):
    """Write as one COCO-style file and as the official folder; returns their paths."""
    merged = folder / 'posetrack18_val.json'
    merged.write_text(json.dumps(content))
    official = folder / 'val'
    official.mkdir()
    videos = {image['file_name'].split('/')[-2] for image in content['images']}
    for video in videos:
        part = copy.deepcopy(content)
        part['images'] = [i for i in content['images'] if i['file_name'].split('/')[-2] == video]
        ids = {image['id'] for image in part['images']}
        part['annotations'] = [a for a in content['annotations'] if a['image_id'] in ids]
        (official / f'{video}.json').write_text(json.dumps(part))
    return merged, official


def as_poses(poses):
    """Predictions in the form that the package's functions take."""
    return {
        image_id: [dict(keypoints=k, keypoint_scores=s, score=float(s.mean())) for k, s in found]
        for image_id, found in poses.items()
    }


def slow_inside(x, y, xs, ys):
    """Strictly inside a polygon: exact even-odd rule, False on the border."""
    if len(xs) < 3:
        return False
    x, y = Fraction(float(x)), Fraction(float(y))
    corners = [(Fraction(a), Fraction(b)) for a, b in zip(xs, ys)]
    inside = False
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1]):
        if (bx - ax) * (y - ay) == (by - ay) * (x - ax):
            if min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
                return False
        if (ay > y) != (by > y):
            inside ^= x < ax + (y - ay) * (bx - ax) / (by - ay)
    return inside
