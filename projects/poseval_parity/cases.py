"""Random cases for parity.py: ground truth, predictions, and the files that hold them."""

import json

import numpy as np


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


def number_poses(rng, poses):
    """Give poses track ids, unique in a frame: mostly their place in it, sometimes others."""
    for found in poses.values():
        numbers = np.arange(len(found))
        if rng.random() < 0.4:
            numbers = rng.permutation(len(found) + 3)[: len(found)]
        for pose, number in zip(found, numbers.tolist()):
            pose['track_id'] = number
