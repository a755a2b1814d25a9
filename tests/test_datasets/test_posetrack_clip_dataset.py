"""PoseTrack as mmpose reads it, with clips."""

import json
from pathlib import Path

import numpy as np
import pytest
from mmpose.datasets.datasets.body import PoseTrack18Dataset
from mmpose.registry import DATASETS

from diffpose_mm.datasets import (
    LoadClip,
    PoseTrack17ClipDataset,
    PoseTrack18ClipDataset,
    PoseTrack21ClipDataset,
)
from diffpose_mm.videos import split_frame_name

ANN = 'annotations/posetrack18_val.json'


SAMPLE = Path(__file__).parents[3] / 'shared/data/posetrack18_sample'


needs_sample = pytest.mark.skipif(not SAMPLE.exists(), reason='the PoseTrack18 sample is missing')


def numbers(info):
    return [split_frame_name(path)[1] for path in info['clip_paths']]


@pytest.mark.parametrize('test_mode', [False, True])
def test_a_sample_holds_what_mmpose_reads(write_posetrack, test_mode):
    """Ids, boxes and keypoints have to be mmpose's own, or metrics and losses differ."""
    kwargs = dict(ann_file=ANN, data_root=str(write_posetrack()), test_mode=test_mode)
    ours, theirs = PoseTrack18ClipDataset(**kwargs), PoseTrack18Dataset(**kwargs)
    assert len(ours) == len(theirs) == 24
    for i in range(len(ours)):
        a, b = ours.get_data_info(i), theirs.get_data_info(i)
        for key in set(b) - {'segmentation', 'raw_ann_info'}:
            np.testing.assert_equal(a[key], b[key], err_msg=key)
        assert isinstance(a['img_path'], str)
        assert ('raw_ann_info' in a) == test_mode


def test_a_folder_of_one_file_a_video_is_read_as_one(write_posetrack):
    """PoseTrack18 and 21 are published that way."""
    root = write_posetrack()
    whole = json.loads((root / ANN).read_text())
    (root / 'annotations/val').mkdir()
    for vid_id in ('000000', '000001'):
        images = [img for img in whole['images'] if img['vid_id'] == vid_id]
        ids = {img['id'] for img in images}
        part = dict(whole, images=images)
        part['annotations'] = [a for a in whole['annotations'] if a['image_id'] in ids]
        (root / f'annotations/val/{vid_id}_test.json').write_text(json.dumps(part))
    one = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root))
    many = PoseTrack21ClipDataset(ann_file='annotations/val', data_root=str(root))
    assert len(many) == len(one)
    for i in range(len(one)):
        np.testing.assert_equal(many.get_data_info(i), one.get_data_info(i))


def test_posetrack17_counts_frames_from_one_in_eight_digits(write_posetrack):
    root = write_posetrack(nframes=5, persons=1, num_videos=1, first=1, digits=8)
    data = PoseTrack17ClipDataset(ann_file=ANN, data_root=str(root))
    assert numbers(data.get_data_info(0)) == [1, 1, 1, 2, 3]
    assert data.get_data_info(0)['clip_replicated'] == [True, True, False, False, False]
    assert numbers(data.get_data_info(4)) == [3, 4, 5, 5, 5]
    assert data.get_data_info(4)['clip_paths'][0].endswith('/00000003.jpg')


def test_datasets_are_registered_where_the_inferencer_looks():
    """MMPoseInferencer picks its person detector by the module path of the dataset."""
    for name in ('PoseTrack17ClipDataset', 'PoseTrack18ClipDataset', 'PoseTrack21ClipDataset'):
        assert '.datasets.body.' in DATASETS.get(name).__module__


@needs_sample
def test_real_posetrack18_replaces_the_neighbours_that_are_not_there():
    data = PoseTrack18ClipDataset(
        ann_file='annotations/test_posetrack18_val.json', data_root=str(SAMPLE),
        pipeline=[LoadClip(num_frames=5)], test_mode=True,
    )  # fmt: skip
    assert len(data) == 14
    sample = data[0]
    assert sample['clip_replicated'] == [True, True, False, True, True]
    assert [kind for kind, *_ in sample['clip_faults']] == ['missing'] * 2
    assert sample['clip_paths'] == [sample['img_path']] * 5
    assert sample['img_shape'] == (1080, 1920)
    assert [len(sample['img']), sample['keyframe_index']] == [5, 2]


@needs_sample
def test_real_posetrack18_is_read_as_mmpose_reads_it():
    kwargs = dict(ann_file='annotations/test_posetrack18_val.json', data_root=str(SAMPLE))
    ours, theirs = PoseTrack18ClipDataset(**kwargs), PoseTrack18Dataset(**kwargs)
    ours, theirs = (
        {data.get_data_info(i)['id']: data.get_data_info(i) for i in range(len(data))}
        for data in (ours, theirs)
    )
    assert ours.keys() == theirs.keys()
    for id_, info in theirs.items():
        for key in ('img_id', 'img_path', 'bbox', 'keypoints', 'keypoints_visible', 'area'):
            np.testing.assert_equal(ours[id_][key], info[key])


@needs_sample
def test_real_posetrack18_detections_are_read():
    data = PoseTrack18ClipDataset(
        ann_file='annotations/test_posetrack18_val.json', data_root=str(SAMPLE), test_mode=True,
        bbox_file='annotations/test_posetrack18_human_detections.json',
        filter_cfg=dict(bbox_score_thr=0.4),
    )  # fmt: skip
    assert 14 < len(data) < 278
    assert {data.get_data_info(i)['nframes'] for i in range(len(data))} == {140, 101, 149}
