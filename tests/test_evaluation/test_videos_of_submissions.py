"""Every video has a file of its own in a submission and tracks of its own."""

import json

import numpy as np
import pytest
from evaluation_cases import KEYPOINTS

from diffpose_mm.evaluation import load_ground_truth, load_submission, write_submission


def ground_truth_file(tmp_path, folders, **fields):
    """Two frames in each folder, a person in each frame."""
    images, annotations = [], []
    for folder in folders:
        for number in (1, 2):
            image_id = len(images) + 1
            name = f'{folder}/{number:06d}.jpg' if folder else f'{number:06d}.jpg'
            images.append(dict(id=image_id, file_name=name, nframes=2, **fields))
            points = np.column_stack([np.arange(17), np.arange(17), np.ones(17)])
            annotations.append(
                dict(
                    id=image_id, image_id=image_id, track_id=0, bbox=[0, 0, 20, 20],
                    bbox_head=[0, 0, 4, 4], keypoints=points.ravel().tolist(),
                )
            )  # fmt: skip
    category = dict(id=1, name='person', keypoints=list(KEYPOINTS))
    file = tmp_path / 'truth.json'
    content = dict(images=images, annotations=annotations, categories=[category])
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize(
    'folders, names',
    [
        (['t/SEQ1/img1', 't/SEQ2/img1', 't/SEQ3/img1'], ['SEQ1', 'SEQ2', 'SEQ3']),
        (['s1/cam1', 's2/cam1', 's1/cam2'], ['s1__cam1', 's1__cam2', 's2__cam1']),
        (['s1\\cam1', 's1\\cam2'], ['cam1', 'cam2']),
        (['v/clip.v1', 'v/clip.v2'], ['clip.v1', 'clip.v2']),
    ],
)
def test_a_video_is_its_whole_folder(tmp_path, folders, names):
    """Broken if videos whose folders have one name share a file, or tracks go on from one video to
    the next."""
    truth = load_ground_truth(ground_truth_file(tmp_path, folders))
    assert list(truth.videos) == names
    assert all(len(images) == 2 for images in truth.videos.values())
    pose = dict(keypoints=np.ones((17, 2)), keypoint_scores=np.ones(17), score=1.0)
    files = write_submission(tmp_path / 'out', {1: [pose]}, truth)
    assert sorted(file.name for file in files) == [f'{name}.json' for name in names]
    assert list(load_submission(tmp_path / 'out', truth)) == [1]
    assert sum(len(json.loads(file.read_text())['annotations']) for file in files) == 1


def test_the_name_that_the_file_gives_counts(tmp_path):
    """Official files of PoseTrack17 are not named after the folders."""
    truth = load_ground_truth(ground_truth_file(tmp_path, ['bonn/000001'], video='00001_relpath'))
    assert list(truth.videos) == ['00001_relpath']


def test_frames_without_a_folder_need_a_name(tmp_path):
    with pytest.raises(ValueError, match='image 1 lies in no video folder'):
        load_ground_truth(ground_truth_file(tmp_path, ['']))
