"""Keypoint sets beside mmpose's own lists of them."""

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from diffpose_mm.keypoint_sets import KEYPOINT_SETS, find_keypoint_set, keypoint_set, places_in
from diffpose_mm.posetrack.keypoints import JOINTS, KEYPOINTS

BASE = 'configs/_base_/datasets/'


@pytest.mark.parametrize(
    'name, file', [('coco17', 'coco'), ('posetrack17', 'posetrack18'), ('halpe26', 'halpe26')]
)
def test_a_set_is_that_of_mmpose(name, file):
    """Broken if a name, a place, a sigma or a mirror image is another than mmpose's."""
    theirs = parse_pose_metainfo(dict(from_file=f'{BASE}{file}.py'))
    ours = parse_pose_metainfo(keypoint_set(name).metainfo())
    for field in ('dataset_name', 'num_keypoints', 'keypoint_id2name', 'flip_indices'):
        assert ours[field] == theirs[field], field
    np.testing.assert_allclose(ours['sigmas'], theirs['sigmas'])
    assert sorted(ours['upper_body_ids']) == sorted(theirs['upper_body_ids'])
    bones = {frozenset(link) for link in theirs['skeleton_links']}
    assert bones <= {frozenset(link) for link in ours['skeleton_links']}


def test_feet_have_the_sigmas_of_coco_wholebody():
    theirs = parse_pose_metainfo(dict(from_file=f'{BASE}coco_wholebody.py'))
    sigmas = dict(zip(theirs['keypoint_id2name'].values(), theirs['sigmas']))
    body25 = keypoint_set('body25')
    for name, sigma in zip(body25.keypoints, body25.sigmas):
        if name in ('neck', 'mid_hip'):
            assert np.isnan(sigma)
        else:
            assert sigma == pytest.approx(sigmas[name], rel=1e-6), name


def test_posetracks_sets_are_those_of_its_files():
    assert keypoint_set('posetrack17').keypoints == KEYPOINTS
    assert keypoint_set('posetrack15').keypoints == JOINTS
    assert find_keypoint_set(KEYPOINTS).name == 'posetrack17'
    assert find_keypoint_set(KEYPOINTS[::-1]) is None


def test_body25_has_the_places_of_openpose():
    """Its documentation: 0 nose, 1 neck, 8 mid hip, 15 and 16 the eyes, 22 the right big toe."""
    names = keypoint_set('body25').keypoints
    assert len(names) == 25
    expected = {0: 'nose', 1: 'neck', 4: 'right_wrist', 8: 'mid_hip', 11: 'right_ankle',
                14: 'left_ankle', 15: 'right_eye', 18: 'left_ear', 19: 'left_big_toe',
                22: 'right_big_toe', 24: 'right_heel'}  # fmt: skip
    assert {place: names[place] for place in expected} == expected


def test_coco_and_posetrack_share_all_but_the_head():
    """Places 1 and 2 are eyes in one and head in the other, though both have 17."""
    coco, posetrack = keypoint_set('coco17').keypoints, keypoint_set('posetrack17').keypoints
    assert places_in(posetrack, coco).tolist() == [0, -1, -1, -1, -1, *range(5, 17)]
    assert places_in(coco, posetrack).tolist() == [0, -1, -1, 3, 4, *range(5, 17)]


def test_only_what_means_the_same_is_shared():
    """Necks differ from set to set, so none is taken for another one."""
    for source in KEYPOINT_SETS.values():
        for target in KEYPOINT_SETS.values():
            places = places_in(source.keypoints, target.keypoints)
            assert len(places) == len(target.keypoints)
            for name, place in zip(target.keypoints, places):
                assert place == -1 or source.keypoints[place] == name
                if source is not target:
                    assert name not in ('neck', 'head', 'hip', 'mid_hip') or place == -1
            if source is target:
                assert (places == np.arange(len(places))).all()


def test_an_unknown_set_is_told_with_the_known_ones():
    with pytest.raises(ValueError, match="keypoints='coco' must be one of coco17, posetrack17"):
        keypoint_set('coco')
