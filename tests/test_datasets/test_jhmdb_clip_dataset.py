"""Sub-JHMDB as clips, beside mmpose's own reading of it, to the PCK of mmpose's metric."""

import json

import numpy as np
import pytest
from mmpose.datasets.datasets.body import JhmdbDataset
from mmpose.registry import METRICS, TRANSFORMS

from diffpose_mm.datasets import JHMDBClipDataset

SPLIT = dict(ann_file='annotations/Sub1_test.json', test_mode=True)


def test_samples_are_mmposes_with_a_clip(tiny_jhmdb):
    """Boxes and joints as mmpose reads them (from 0), frames counted from 1, borders repeated."""
    ours = JHMDBClipDataset(data_root=str(tiny_jhmdb), frame_offsets=(-2, 0, 1), **SPLIT)
    theirs = JhmdbDataset(data_root=str(tiny_jhmdb), data_prefix=dict(img=''), **SPLIT)
    assert len(ours) == len(theirs) == 4
    clips = []
    for index in range(4):
        our, their = ours.get_data_info(index), theirs.get_data_info(index)
        for key in ('bbox', 'keypoints', 'keypoints_visible', 'flip_indices', 'upper_body_ids'):
            np.testing.assert_array_equal(our[key], their[key])
        assert (our['img_id'], our['id']) == (their['img_id'], their['id'])
        assert our['img_path'].endswith(their['img_path'].split('jhmdb/')[-1])
        clips.append([int(path[-9:-4]) for path in our['clip_paths']])
    assert clips == [[1, 1, 2], [1, 2, 3], [1, 3, 4], [2, 4, 4]]
    assert ours.get_data_info(0)['clip_replicated'] == [True, False, False]
    annotation = json.loads((tiny_jhmdb / SPLIT['ann_file']).read_text())['annotations'][0]
    joint = np.array(annotation['keypoints'][:2]) - 1
    np.testing.assert_allclose(ours.get_data_info(0)['keypoints'][0, 0], joint, atol=1e-5)


def test_left_and_right_are_exchanged_by_a_flip(tiny_jhmdb):
    """All twelve limbs have their partner, neck, belly and head none."""
    meta = JHMDBClipDataset(data_root=str(tiny_jhmdb), lazy_init=True, **SPLIT).metainfo
    names = [meta['keypoint_id2name'][i] for i in range(15)]
    mirrored = [names[i] for i in meta['flip_indices']]
    swap = {'left': 'right', 'right': 'left'}
    expected = ['_'.join([swap.get(first, first), *rest])
                for first, *rest in (name.split('_') for name in names)]  # fmt: skip
    assert mirrored == expected and mirrored != names


def test_the_metric_is_normalised_by_box_and_torso(tiny_jhmdb):
    """Joints moved by known shares of box and torso, through the pipeline, to PCK and tPCK."""
    data = JHMDBClipDataset(
        data_root=str(tiny_jhmdb),
        pipeline=[dict(type='LoadClip'), dict(type='GetBBoxCenterScale'),
                  dict(type='TopdownAffine', input_size=(48, 64)), dict(type='PackClipInputs')],
        **SPLIT,
    )  # fmt: skip
    assert TRANSFORMS.get('PackClipInputs') is not None
    metric = METRICS.build(
        dict(type='JhmdbPCKAccuracy', thr=0.2, norm_item=['bbox', 'torso'], prefix='jhmdb')
    )
    near_torso = []
    for index in range(len(data)):
        sample = data[index]['data_samples'].to_dict()
        truth = sample['gt_instances']['keypoints']
        predicted = truth.copy()
        predicted[0, 7:9, 0] += 0.19 * 110  # elbows: within a fifth of the box's longer side
        predicted[0, 11:13, 0] += 0.21 * 110  # wrists: beyond it
        torso = np.linalg.norm(truth[0, 4] - truth[0, 5])
        near_torso.append(0.19 * 110 <= 0.2 * torso)
        sample['pred_instances'] = dict(keypoints=predicted)
        metric.process([], [sample])
    metrics = metric.evaluate(len(data))
    assert metrics['jhmdb/Elb PCK'] == 1 and metrics['jhmdb/Wri PCK'] == 0
    assert metrics['jhmdb/PCK'] == pytest.approx(13 / 15)
    assert metrics['jhmdb/Elb tPCK'] == pytest.approx(np.mean(near_torso))


def test_detector_boxes_are_refused(tiny_jhmdb):
    """Their samples have no annotation, and mmpose's metric would compare with zeros."""
    with pytest.raises(ValueError, match="bbox_file='boxes.json'.*annotated boxes"):
        JHMDBClipDataset(data_root=str(tiny_jhmdb), bbox_file='boxes.json', **SPLIT)


def test_another_data_sets_file_is_refused(tiny_jhmdb, tiny_posetrack):
    with pytest.raises(ValueError, match="51 values in 'keypoints', not 3 x 15"):
        JHMDBClipDataset(data_root=str(tiny_posetrack), ann_file='annotations/posetrack18_val.json')
