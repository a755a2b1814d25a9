"""Who is posed: boxes given or detected, tracks, batches."""

import os.path as osp
import threading

import numpy as np
import pytest
import torch
from apis_helpers import (
    BOXES,
    assert_close_poses,
    moving_frames,
    points,
    read_video,
    stub_person_detector,
)
from mmengine.config import Config
from mmengine.utils import get_installed_path

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.apis.detector import PersonDetector


def test_boxes_are_honoured_and_batches_change_nothing(inferencer, video):
    single = list(inferencer(video, bboxes=BOXES))
    batched = list(inferencer(video, bboxes=BOXES, batch_size=5))
    for t, (one, many) in enumerate(zip(single, batched)):
        assert [person['bbox'][0] for person in one['predictions'][0]] == BOXES[t]
        assert_close_poses(points(one), points(many))
    assert all(r['frames'][0]['frame_id'] == t for t, r in enumerate(batched))


def test_the_model_sees_batches_of_people_times_frames(inferencer, video, monkeypatch):
    sizes = []
    features = inferencer.model.extract_feat
    monkeypatch.setattr(
        inferencer.model, 'extract_feat', lambda x: (sizes.append(len(x)), features(x))[1]
    )
    list(inferencer(video, bboxes=BOXES, batch_size=4))
    assert sum(sizes) == 14 and max(sizes) == 4


def test_tracks_follow_people_and_given_numbers_are_kept(inferencer, video):
    swapped = [boxes if t % 2 else boxes[::-1] for t, boxes in enumerate(BOXES)]
    for oks in (False, True):
        results = list(
            inferencer(video, bboxes=swapped, use_oks_tracking=oks, tracking_thr=-1 if oks else 0.3)
        )
        numbers = [[p['track_id'] for p in r['predictions'][0]] for r in results]
        assert all(sorted(n) == [0, 1] for n in numbers)
        if not oks:
            assert numbers == [[0, 1] if t % 2 == 0 else [1, 0] for t in range(7)]
    given = [dict(bboxes=boxes, track_ids=[7, 9]) for boxes in BOXES]
    results = list(inferencer(video, bboxes=given))
    assert all([p['track_id'] for p in r['predictions'][0]] == [7, 9] for r in results)


def test_frames_without_people_have_no_people(inferencer, video, tmp_path):
    boxes = {2: BOXES[2], 3: BOXES[3]}
    results = list(inferencer(video, bboxes=boxes, out_dir=str(tmp_path), draw_bbox=True))
    assert [len(r['predictions'][0]) for r in results] == [0, 0, 2, 2, 0, 0, 0]
    assert len(read_video(tmp_path / 'visualizations' / 'walk.avi')) == 7
    (sample,) = next(inferencer(video, bboxes=boxes, return_datasamples=True))['predictions']
    assert sample.pred_instances.keypoints.shape == (0, 17, 2)


def test_the_detector_sees_batches_and_its_labels_and_duplicates_are_sorted_out(
    inferencer, video, monkeypatch
):
    detector = stub_person_detector()
    monkeypatch.setattr(inferencer, 'detector', detector)
    before = threading.active_count()
    results = list(inferencer(video, batch_size=4))
    assert detector.network.inferencer.sizes == [4, 3]
    assert threading.active_count() == before, 'detection runs beside the poses, and ends with them'
    assert [len(r['predictions'][0]) for r in results] == [0, 0, 1, 1, 1, 1, 1]
    people = [r['predictions'][0][0] for r in results[2:]]
    assert {p['track_id'] for p in people} == {0}
    np.testing.assert_allclose([p['bbox_score'] for p in people], 0.9, atol=1e-6)


def test_a_detector_of_mmdet_is_built_from_its_config_or_checkpoint(tiny_model, tmp_path):
    """RTMDet cut down, random weights: the plumbing from frames to boxes."""
    config = Config.fromfile(
        osp.join(get_installed_path('mmdet'), '.mim/configs/rtmdet/rtmdet_tiny_8xb32-300e_coco.py')
    )
    config.model.backbone.update(widen_factor=0.125, deepen_factor=0.167, init_cfg=None)
    config.model.neck.update(in_channels=[32, 64, 128], out_channels=16)
    config.model.bbox_head.update(in_channels=16, feat_channels=16)
    inferencer = DiffPoseInferencer(
        *tiny_model, device='cpu', det_model=config, det_cat_ids=list(range(80))
    )
    detector = inferencer.detector.network
    detector.prepare()
    for layer in detector.inferencer.model.bbox_head.rtm_reg:
        layer.bias.data.fill_(2)  # else most boxes would be inside out
    results = list(inferencer(moving_frames(3), batch_size=3, bbox_thr=0.9999))
    assert [r['predictions'] for r in results] == [[[]]] * 3
    results = list(inferencer(moving_frames(2), batch_size=2, bbox_thr=0.0))
    assert all(len(r['predictions'][0]) > 0 for r in results)

    # A checkpoint of mmdet holds its config.
    path, weights = str(tmp_path / 'det.pth'), detector.inferencer.model.state_dict()
    torch.save(dict(state_dict=weights, meta=dict(cfg=config.pretty_text)), path)
    again = PersonDetector(None, path, list(range(80)), 'cpu').network.build().model.state_dict()
    assert again.keys() == weights.keys()
    assert all(torch.equal(again[key], weights[key]) for key in weights)


def test_given_boxes_need_no_detector(tiny_model, video):
    inferencer = DiffPoseInferencer(*tiny_model, device='cpu')
    assert len(next(inferencer(video, bboxes=BOXES))['predictions'][0]) == 2


def test_a_detector_that_cannot_be_built_is_named_with_what_else_to_do(tiny_model, video):
    inferencer = DiffPoseInferencer(*tiny_model, device='cpu', det_model='no-such-detector')
    with pytest.raises(ValueError, match="det_model='no-such-detector'.*bboxes=.*whole_image"):
        next(inferencer(video))


def test_boxes_that_make_no_sense(inferencer, video):
    for boxes, message in (
        ([[[50, 10, 20, 80]]], r'bboxes of frame 0, box 0 is \[50.*x1 < x2'),
        ([[[1, 2, 3]]], r'have shape \(1, 3\)'),
        ([[[1, 2, float('nan'), 4]]], 'box 0 is'),
        ([[['a', 2, 3, 4]]], 'are not numbers'),
        ([dict(bboxes=[[1, 2, 9, 9]], track_ids=[1, 2])], '2 track_ids for 1 boxes'),
        ([dict(bboxes=[[1, 2, 9, 9]] * 2, track_ids=[1, 1])], 'name a person twice'),
        ([dict(boxes=[[1, 2, 9, 9]])], 'it takes bboxes, scores, track_ids'),
        ([None], 'bboxes of frame 0 are None'),
        ([[dict(x=1)]], 'bboxes of frame 0: an instance has no bbox'),
        ([dict(bboxes=[[1, 2, 9, 9]], track_ids=['a'])], "track_ids have to be numbers .*'a'"),
        ([[]], r'has 1 entries, but the input has a frame 1'),
        ({'one': []}, "the key 'one' is no frame number"),
        ({1.5: []}, 'the key 1.5 is no frame number'),
        ([dict(bboxes=[[1, 2, 9, 9]], scores=[float('nan')])], 'have to be finite numbers'),
        ([dict(bboxes=[[1, 2, 9, 9]], track_ids=[1.5])], 'are no whole numbers'),
        ([[]] * 6 + [[[50, 10, 20, 80]]], 'bboxes of frame 6, box 0'),
    ):
        with pytest.raises(ValueError, match=message):
            list(inferencer(video, bboxes=boxes))
    with pytest.raises(TypeError, match='bboxes has to be a list'):
        next(inferencer(video, bboxes=5))


def test_keys_of_json_are_frame_numbers(inferencer, video):
    """Broken if boxes read from a JSON file find nobody."""
    results = list(inferencer(video, bboxes={'2': BOXES[2]}))
    assert [len(r['predictions'][0]) for r in results] == [0, 0, 2, 0, 0, 0, 0]


def test_boxes_outside_the_frame_are_left_out_and_those_across_its_edge_kept(inferencer, video):
    boxes = {0: [[500, 10, 600, 80], [-20, -10, 40, 80]]}
    (person,) = next(inferencer(video, bboxes=boxes))['predictions'][0]
    assert person['bbox'][0] == [-20, -10, 40, 80]
