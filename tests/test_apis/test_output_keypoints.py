"""Poses of a PoseTrack-17 model given as another set of keypoints."""

import csv

import numpy as np
import pytest
from apis_helpers import BOXES, moving_frames, read_json

from diffpose_mm.apis.output_keypoints import OutputKeypoints
from diffpose_mm.keypoint_sets import keypoint_set

COCO, POSETRACK = keypoint_set('coco17').keypoints, keypoint_set('posetrack17').keypoints
SHARED = [name for name in COCO if name in POSETRACK and not name.endswith('ear')]


def by_name(person, names):
    return dict(zip(names, zip(person['keypoints'], person['keypoint_scores'])))


@pytest.mark.parametrize('target, absent', [('coco17', 4), ('posetrack15', 0), ('body25', 12)])
def test_joints_keep_their_names_and_the_others_are_absent(inferencer, video, target, absent):
    """Broken if eyes get the place of head_bottom and head_top, which have the same numbers."""
    names = keypoint_set(target).keypoints
    own = list(inferencer(video, bboxes=BOXES))
    run = inferencer(video, bboxes=BOXES, keypoints=target)
    assert len(run.keypoints.absent) == absent
    for before, after in zip(own, run):
        for old, new in zip(before['predictions'][0], after['predictions'][0]):
            assert len(new['keypoints']) == len(new['keypoint_scores']) == len(names)
            old, new = by_name(old, POSETRACK), by_name(new, names)
            for name in names:
                expected = ([0, 0], 0) if name in run.keypoints.absent else old[name]
                assert new[name] == expected, name


def test_files_name_the_keypoints_and_leave_absent_ones_empty(inferencer, video, tmp_path):
    run = inferencer(
        video,
        bboxes=BOXES,
        keypoints='coco17',
        out_dir=str(tmp_path),
        formats=['json', 'csv'],
        kpt_thr=0.0,
    )
    list(run)
    meta = read_json(tmp_path / 'predictions' / 'walk.json')[0]['meta']
    assert tuple(meta['keypoints']) == COCO
    assert meta['absent'] == ['left_eye', 'right_eye', 'left_ear', 'right_ear']
    bones = [[COCO[a], COCO[b]] for a, b in meta['skeleton']]
    assert ['left_ankle', 'left_knee'] in bones
    with open(tmp_path / 'predictions' / 'walk.csv', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        is_absent = row['keypoint'] in meta['absent']
        assert (row['x'] == '') == is_absent and (float(row['score']) == 0 or not is_absent)


def test_an_interrupted_run_goes_on_in_the_same_set(inferencer, video, tmp_path):
    """And is refused in another one, for the log would be of both."""
    whole = [r['predictions'] for r in inferencer(video, bboxes=BOXES, keypoints='coco17')]
    with inferencer(
        video, bboxes=BOXES, keypoints='coco17', pred_out_dir=str(tmp_path), use_oks_tracking=True
    ) as run:
        for _ in range(3):
            next(run)
    options = dict(bboxes=BOXES, pred_out_dir=str(tmp_path), use_oks_tracking=True, resume=True)
    with pytest.raises(ValueError, match='keypoints'):
        list(inferencer(video, **options))
    resumed = [r['predictions'] for r in inferencer(video, keypoints='coco17', **options)]
    for before, after in zip(whole, resumed):
        for old, new in zip(before[0], after[0]):
            np.testing.assert_allclose(old['keypoints'], new['keypoints'], atol=1e-3)


def test_absent_keypoints_make_no_two_poses_alike(inferencer):
    """Broken if keypoints that are absent in all poses count as lying on each other."""
    frames = moving_frames(4)
    options = dict(bboxes=BOXES[:4], use_oks_tracking=True, as_clip=True, pose_based_nms=True)
    own = [r['predictions'][0] for r in inferencer(frames, **options)]
    found = [r['predictions'][0] for r in inferencer(frames, keypoints='body25', **options)]
    assert [len(people) for people in found] == [len(people) for people in own]


def test_absent_keypoints_are_not_drawn(inferencer):
    """At (0, 0), where a threshold of 0 would show them."""
    frame = np.zeros((90, 120, 3), np.uint8)
    run = inferencer(
        frame, bboxes=[[[30, 20, 100, 85]]], keypoints='coco17', kpt_thr=0.0, return_vis=True
    )
    picture = next(run)['visualization'][0]
    assert not picture[:5, :5].any() and picture.any()


def test_hypotheses_are_given_in_the_set(inferencer):
    frame = moving_frames(1)[0]
    options = dict(bboxes=BOXES[:1], num_hypotheses=3, return_hypotheses=True)
    person = next(inferencer(frame, keypoints='coco17', **options))['predictions'][0][0]
    assert np.shape(person['hypotheses']) == (3, 17, 2)
    assert np.shape(person['hypothesis_scores']) == (3, 17)
    assert np.shape(person['keypoint_std']) == (17, 2)
    assert not np.array(person['hypotheses'])[:, 1:5].any()


def test_the_same_set_changes_nothing(inferencer):
    meta = inferencer.model.dataset_meta
    output = OutputKeypoints(meta, 'posetrack17')
    assert output.dataset_meta == dict(meta) and output.absent == []
    assert [*output.present] == [*range(17)]


def test_a_set_that_is_not_there_or_has_nothing_in_common_is_refused(inferencer, video):
    with pytest.raises(ValueError, match="keypoints='coco' must be one of coco17"):
        inferencer(video, keypoints='coco')
    horse = dict(num_keypoints=2, keypoint_id2name={0: 'withers', 1: 'tail'})
    with pytest.raises(ValueError, match='the model has none of them, its own are withers, tail'):
        OutputKeypoints(horse, 'coco17')
