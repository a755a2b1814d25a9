"""Shared fixtures."""

import json

import cv2
import numpy as np
import pytest
from property_cases import CASES, load_profile

import diffpose_mm_stand_ins

# Tests import mmpose before diffpose_mm, also where the package runs from its folder uninstalled.
diffpose_mm_stand_ins.install()
load_profile()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Send the number of a property's cases along, from whichever process ran them."""
    report = yield
    number = CASES.pop(getattr(item, 'originalname', item.name), 0)
    if number:
        report.user_properties.append(('cases', number))
    return report


def pytest_terminal_summary(terminalreporter):
    reports = [r for rs in terminalreporter.stats.values() for r in rs]
    numbers = [
        value
        for report in reports
        if getattr(report, 'when', '') == 'call'
        for name, value in report.user_properties
        if name == 'cases'
    ]
    if numbers:
        terminalreporter.write_line(f'{sum(numbers)} cases of {len(numbers)} properties were run')


def write_tiny_posetrack(root, videos=2, frames=3, size=(160, 120), seed=0):
    """Write noise with made-up persons in the layout of PoseTrack18, detections included."""
    from diffpose_mm.posetrack.keypoints import PERSON_CATEGORY

    rng = np.random.default_rng(seed)
    width, height = size
    (root / 'annotations').mkdir(parents=True)
    for number, split in enumerate(('train', 'val')):
        images, annotations, detections = [], [], []
        for video in range(videos):
            vid_id = f'{number}{video:05d}'
            folder = f'images/{split}/{vid_id}_tiny'
            (root / folder).mkdir(parents=True)
            for frame in range(frames):
                file_name = f'{folder}/{frame:06d}.jpg'
                picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
                cv2.imwrite(str(root / file_name), picture)
                image_id = int(f'1{vid_id}{frame:04d}')
                images.append(
                    dict(
                        id=image_id,
                        frame_id=image_id,
                        file_name=file_name,
                        nframes=frames,
                        vid_id=vid_id,
                        is_labeled=True,
                        width=width,
                        height=height,
                        ignore_regions_x=[],
                        ignore_regions_y=[],
                    )
                )
                for track in range(2):
                    left, top = 10 + 70 * track, 10
                    box = [left, top, 60, 100]
                    points = rng.uniform((left + 5, top + 5), (left + 55, top + 95), (17, 2))
                    keypoints = np.c_[points, np.ones(17)]
                    keypoints[3:5] = 0
                    annotations.append(
                        dict(
                            id=image_id * 100 + track,
                            image_id=image_id,
                            track_id=track,
                            category_id=1,
                            iscrowd=False,
                            bbox=box,
                            bbox_head=[left + 20, top, 15, 15],
                            keypoints=keypoints.ravel().round(2).tolist(),
                            num_keypoints=15,
                            scores=[],
                        )
                    )
                    detections.append(dict(image_id=image_id, category_id=1, bbox=box, score=0.9))
        content = dict(images=images, annotations=annotations, categories=[PERSON_CATEGORY])
        for year in (17, 18, 21):
            name = root / f'annotations/posetrack{year}_{split}'
            name.with_suffix('.json').write_text(json.dumps(content))
            detected = name.with_name(f'{name.name}_human_detections.json')
            detected.write_text(json.dumps(detections))
    return root


@pytest.fixture(scope='session')
def tiny_posetrack(tmp_path_factory):
    """Root of a tiny data set in the layout of PoseTrack18; not to be written to."""
    return write_tiny_posetrack(tmp_path_factory.mktemp('tiny') / 'posetrack18')


JHMDB_KEYPOINTS = (
    'neck belly head right_shoulder left_shoulder right_hip left_hip right_elbow left_elbow '
    'right_knee left_knee right_wrist left_wrist right_ankle left_ankle'
).split()


@pytest.fixture(scope='session')
def tiny_jhmdb(tmp_path_factory):
    """Root of a tiny Sub-JHMDB, fields and numbering as in mmpose's files; not to be written to."""
    root = tmp_path_factory.mktemp('tiny') / 'jhmdb'
    rng = np.random.default_rng(0)
    (root / 'annotations').mkdir(parents=True)
    category = dict(supercategory='person', id=1, name='person', keypoints=JHMDB_KEYPOINTS,
                    skeleton=[[1, 3], [1, 4]])  # fmt: skip
    for video, split in enumerate(('Sub1_train', 'Sub1_test')):
        folder, nframes = f'Rename_Images/catch/Frisbee_catch_f_cm_np1_ri_med_{video}', 4
        (root / folder).mkdir(parents=True)
        images, annotations = [], []
        for number in range(1, nframes + 1):
            file_name = f'{folder}/{number:05d}.png'
            picture = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
            cv2.imwrite(str(root / file_name), picture)
            image_id = (228 + video) * 10000 + number
            images.append(
                dict(is_labeled=True, file_name=file_name, nframes=nframes, frame_id=image_id,
                     vid_id=f'{228 + video:05d}', id=image_id, width=160, height=120)
            )  # fmt: skip
            points = np.c_[rng.uniform((41, 11), (100, 110), (15, 2)).round(6), np.full(15, 2.0)]
            annotations.append(
                dict(keypoints=points.ravel().tolist(), track_id=0, image_id=image_id,
                     bbox=[36.0, 6.0, 70.0, 110.0], scores=[], category_id=1,
                     id=1000000000000 + image_id)
            )  # fmt: skip
        content = dict(categories=[category], images=images, annotations=annotations)
        (root / f'annotations/{split}.json').write_text(json.dumps(content))
    return root
