"""COCO-17 labels in a data set of PoseTrack-17."""

import json

import numpy as np
import pytest

from diffpose_mm.datasets.body.clip_dataset import ClipDataset
from diffpose_mm.datasets.body.label_keypoints import convert_labels
from diffpose_mm.datasets.body.posetrack_clip_dataset import PoseTrack18ClipDataset
from diffpose_mm.keypoint_sets import keypoint_set

COCO, POSETRACK = keypoint_set('coco17').keypoints, keypoint_set('posetrack17').keypoints


def coco_file(folder):
    """One person on one frame, whose joint at place i lies at (10 + i, 50 + i)."""
    (folder / 'video').mkdir()
    content = dict(
        images=[dict(id=1, file_name='video/000000.jpg', width=100, height=100, nframes=1)],
        annotations=[
            dict(id=1, image_id=1, category_id=1, iscrowd=0, bbox=[5, 40, 40, 40],
                 keypoints=[v for i in range(17) for v in (10 + i, 50 + i, 2)])
        ],
        categories=[dict(id=1, name='person', keypoints=list(COCO))],
    )  # fmt: skip
    (folder / 'coco.json').write_text(json.dumps(content))
    return dict(ann_file='coco.json', data_root=str(folder), test_mode=True)


def test_labels_are_taken_by_name(tmp_path):
    """Broken if eyes are read as head_bottom and head_top."""
    dataset = PoseTrack18ClipDataset(**coco_file(tmp_path), label_keypoints='coco17')
    info = dataset.get_data_info(0)
    for place, name in enumerate(POSETRACK):
        if name in ('head_bottom', 'head_top'):
            assert info['keypoints_visible'][0, place] == 0
        else:
            there = COCO.index(name)
            np.testing.assert_array_equal(
                info['keypoints'][0, place], [10 + there, 50 + there], err_msg=name
            )
            assert info['keypoints_visible'][0, place] == 1
    assert info['num_keypoints'] == 15


def test_a_file_of_another_set_is_refused_where_it_says_so(tmp_path):
    """Equally many keypoints: nothing else would tell."""
    with pytest.raises(
        ValueError, match="are coco17, .* posetrack17: give label_keypoints='coco17'"
    ):
        PoseTrack18ClipDataset(**coco_file(tmp_path))


def test_a_set_of_another_size_is_read(tmp_path):
    settings = coco_file(tmp_path)
    halpe = keypoint_set('halpe26')
    dataset = ClipDataset(**settings, metainfo=halpe.metainfo(), label_keypoints='coco17')
    info = dataset.get_data_info(0)
    np.testing.assert_array_equal(info['keypoints_visible'][0], [1] * 17 + [0] * 9)


def test_a_set_without_a_shared_keypoint_is_refused():
    with pytest.raises(ValueError, match="label_keypoints='coco17' shares none of .* withers"):
        convert_labels([], 'coco17', ['withers', 'tail'])
