"""COCO-17 labels in a data set of PoseTrack-17."""

import json

import numpy as np
import pytest
from mmpose.evaluation.metrics import CocoMetric

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


@pytest.mark.parametrize('shift, expected', [(0, 1.0), (60, 0.0)])
def test_mmposes_metric_counts_the_shared_keypoints(tmp_path, shift, expected):
    """A PoseTrack-17 model on COCO-17 labels: head_bottom and head_top, which the labels lack, and
    the eyes, which the model lacks, have no say. The metric takes its truth from the samples."""
    dataset = PoseTrack18ClipDataset(**coco_file(tmp_path), label_keypoints='coco17')
    info = dataset.get_data_info(0)
    keypoints = info['keypoints'] + shift
    keypoints[0, 1:3] = 1000
    metric = CocoMetric(use_area=False, outfile_prefix=str(tmp_path / 'coco'))
    metric.dataset_meta = dataset.metainfo
    sample = dict(
        id=1,
        img_id=1,
        category_id=1,
        ori_shape=(100, 100),
        raw_ann_info=info['raw_ann_info'],
        pred_instances=dict(
            keypoints=keypoints,
            keypoint_scores=np.ones((1, 17)),
            bbox_scores=np.ones(1),
        ),
        gt_instances=dict(bbox_scores=np.ones(1), bbox_scales=np.full((1, 2), 40.0)),
    )
    metric.process([], [sample])
    assert metric.evaluate(1)['coco/AP'] == pytest.approx(expected)


def test_a_set_of_another_size_is_read(tmp_path):
    settings = coco_file(tmp_path)
    halpe = keypoint_set('halpe26')
    dataset = ClipDataset(**settings, metainfo=halpe.metainfo(), label_keypoints='coco17')
    info = dataset.get_data_info(0)
    np.testing.assert_array_equal(info['keypoints_visible'][0], [1] * 17 + [0] * 9)


def test_a_set_without_a_shared_keypoint_is_refused():
    with pytest.raises(ValueError, match="label_keypoints='coco17' shares none of .* withers"):
        convert_labels([], 'coco17', ['withers', 'tail'])
