"""Writes small PoseTrack downloads in their official form, from one made-up truth.

The forms are those of the public readers of these files: for PoseTrack17 poseval, DetectAndTrack
and LightTrack, for PoseTrack21 its own repository, for PoseTrack18 the real files.
"""

import json

import cv2
import numpy as np
from scipy.io import savemat

# Number of a joint in PoseTrack17 -> its name in PoseTrack18, written out by hand.
NAME_OF_ID = {
    0: 'right_ankle', 1: 'right_knee', 2: 'right_hip', 3: 'left_hip', 4: 'left_knee',
    5: 'left_ankle', 6: 'right_wrist', 7: 'right_elbow', 8: 'right_shoulder', 9: 'left_shoulder',
    10: 'left_elbow', 11: 'left_wrist', 12: 'head_bottom', 13: 'nose', 14: 'head_top',
}  # fmt: skip
ORDER18 = (
    'nose head_bottom head_top left_ear right_ear left_shoulder right_shoulder left_elbow '
    'right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle '
    'right_ankle'
).split()
SIZE = (160, 120)


def make_truth(videos=2, frames=7, persons=2, seed=0, labelled=range(2, 6)):
    """Videos, each a list of frames: whether labelled, persons (joints by name, head box, track).

    A fifth of the joints is not annotated; no person is without any.
    """
    rng = np.random.default_rng(seed)
    truth = []
    for _ in range(videos):
        video = []
        for number in range(frames):
            people = []
            for track in range(persons if number in labelled else 0):
                left = 10 + 70 * track
                joints = {
                    name: rng.uniform((left, 10), (left + 60, 110)).round(2).tolist()
                    for name in NAME_OF_ID.values()
                    if name == 'nose' or rng.random() < 0.8
                }
                people.append(dict(joints=joints, head=[left + 20, 10, left + 40, 34], track=track))
            region = [[0, 0], [9, 0], [9, 9], [0, 9]] if number in labelled else []
            video.append(dict(labelled=number in labelled, people=people, region=region))
        truth.append(video)
    return truth


def write_frames(folder, names, size=SIZE):
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        picture = np.full((size[1], size[0], 3), 10 + 20 * number, np.uint8)
        cv2.imwrite(str(folder / name), picture)


def annolist(truth, folder, names):
    """A video in the form of PoseTrack17's json files."""
    frames = []
    for number, (frame, name) in enumerate(zip(truth, names, strict=True)):
        rects = []
        for person in frame['people']:
            points = [
                dict(id=[i], x=[person['joints'][n][0]], y=[person['joints'][n][1]], is_visible=[1])
                for i, n in NAME_OF_ID.items()
                if n in person['joints']
            ]
            x1, y1, x2, y2 = person['head']
            rects.append(
                dict(x1=[x1], y1=[y1], x2=[x2], y2=[y2], score=[-1], scale=[3.2],
                     track_id=[person['track']], annopoints=[dict(point=points)])
            )  # fmt: skip
        record = dict(
            image=[dict(name=f'{folder}/{name}')],
            imgnum=[number + 1],
            is_labeled=[int(frame['labelled'])],
            annorect=rects,
        )
        if frame['region']:
            points = [dict(id=[i], x=[x], y=[y]) for i, (x, y) in enumerate(frame['region'])]
            record['ignore_regions'] = [dict(point=points)]
        frames.append(record)
    return dict(annolist=frames)


def as_matlab(value):
    """What scipy writes as MATLAB would have: a list of records as a struct array."""
    if isinstance(value, dict):
        return {key: as_matlab(item) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        records = [as_matlab(item) for item in value]
        fields = list(dict.fromkeys(field for record in records for field in record))
        array = np.empty((1, len(records)), dtype=[(field, object) for field in fields])
        for i, record in enumerate(records):
            for field in fields:
                array[field][0, i] = record.get(field, np.zeros((0, 0)))
        return array
    if isinstance(value, list):
        return value[0] if value else np.zeros((0, 0))
    return value


def write_posetrack17(root, truth, splits=('val',), form='json', names=None):
    """The download of PoseTrack17; returns the paths of the annotation files."""
    files = []
    for split in splits:
        for number, video in enumerate(truth):
            group, end = (
                ('bonn_5sec', 'testsub') if split == 'val' else ('bonn_mpii_train_5sec', 'trainsub')
            )
            folder = f'images/{group}/{number:06d}_mpii'
            frames = names or [f'{i + 1:08d}.jpg' for i in range(len(video))]
            write_frames(root / 'posetrack_data' / folder, frames)
            # Official names of files are not those of the folders.
            name = f'{number:05d}_mpii_relpath_5sec_{end}.{form}'
            path = root / 'posetrack_data/annotations' / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = annolist(video, folder, frames)
            if form == 'mat':
                savemat(path, as_matlab(content))
            else:
                path.write_text(json.dumps(content))
            files.append(path)
    return files


def write_posetrack18(root, truth, splits=('val',), year=18):
    """The download of PoseTrack18 or, with its fields and folders, PoseTrack21."""
    files = []
    category = dict(supercategory='person', id=1, name='person', keypoints=ORDER18, skeleton=[])
    parent = 'posetrack_data/annotations' if year == 18 else 'posetrack_data'
    for split in splits:
        for number, video in enumerate(truth):
            name = f'{number:06d}_mpii_{"test" if split == "val" else "train"}'
            folder = f'images/{split}/{name}'
            write_frames(root / folder, [f'{i:06d}.jpg' for i in range(len(video))])
            images, annotations = [], []
            for index, frame in enumerate(video):
                image_id = int(f'1{number:06d}{index:04d}') + (split == 'train') * 10**12
                image = dict(
                    is_labeled=frame['labelled'],
                    file_name=f'{folder}/{index:06d}.jpg',
                    nframes=len(video),
                    frame_id=image_id,
                    vid_id=f'{number:06d}',
                    id=image_id,
                    ignore_regions_x=[[x for x, _ in frame['region']]] if frame['region'] else [],
                    ignore_regions_y=[[y for _, y in frame['region']]] if frame['region'] else [],
                )
                if year == 21:
                    image['has_labeled_person'] = True
                images.append(image)
                for person in frame['people']:
                    joints = person['joints']
                    points = np.array(list(joints.values()))
                    low, high = points.min(0), points.max(0)
                    margin = 0.15 * (high - low)
                    x1, y1, x2, y2 = person['head']
                    annotations.append(
                        dict(
                            bbox_head=[x1, y1, x2 - x1, y2 - y1],
                            keypoints=sum(
                                ([*joints.get(n, (0, 0)), int(n in joints)] for n in ORDER18), []
                            ),
                            track_id=person['track'],
                            image_id=image_id,
                            bbox=[*(low - margin), *(high - low + 2 * margin)],
                            scores=[],
                            category_id=1,
                            id=image_id * 100 + person['track'],
                        )
                    )
                    if year == 21:
                        annotations[-1]['person_id'] = 1024 + person['track']
            path = root / parent / split / f'{name}.json'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                json.dumps(dict(images=images, annotations=annotations, categories=[category]))
            )
            files.append(path)
    return files


WRITERS = {
    17: write_posetrack17,
    18: write_posetrack18,
    21: lambda root, truth, splits=('val',): write_posetrack18(root, truth, splits, year=21),
}


def load(out, year, split='val'):
    """The converted file of a split."""
    return json.loads((out / f'annotations/posetrack{year}_{split}.json').read_text())


def edit(file, change):
    """Change the content of a json file in place."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
