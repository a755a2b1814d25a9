"""Reading PoseTrack18 ground truth, writing submissions, and what is said about broken files."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_cases import KEYPOINTS, as_poses, make_dataset, write_both

from diffpose_mm.evaluation import (
    evaluate_poses,
    load_ground_truth,
    load_submission,
    predicted_poses,
    write_submission,
)
from diffpose_mm.evaluation.posetrack_protocol import JOINTS

SAMPLE = Path(__file__).parents[3] / 'shared/data/posetrack18_sample/annotations'


@pytest.fixture
def case(tmp_path):
    content, poses = make_dataset(3)
    return content, as_poses(poses), *write_both(tmp_path, content)


def same_poses(a, b):
    assert sorted(vars(a)) == sorted(vars(b))
    for name in ('frame', 'points', 'present', 'head_size'):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert list(a.flags) == list(b.flags)
    for name, kind in a.flags.items():
        np.testing.assert_array_equal(kind, b.flags[name])
    for ours, others in zip(a.ignore_regions, b.ignore_regions, strict=True):
        for region, other in zip(ours, others, strict=True):
            np.testing.assert_array_equal(region, other)


def test_one_file_and_the_official_folder_give_the_same_ground_truth(case):
    content, _, merged, official = case
    from_file, from_folder = load_ground_truth(merged), load_ground_truth(official)
    same_poses(from_file.poses, from_folder.poses)
    assert from_file.frame_of_image == from_folder.frame_of_image
    assert (
        list(from_file.videos)
        == list(from_folder.videos)
        == ['000001_mpii_test', '000002_mpii_test']
    )
    assert (
        from_file.num_without_head_box
        == sum('bbox_head' not in a for a in content['annotations'])
        > 0
    )


def test_videos_that_are_mixed_in_the_file_are_sorted_apart(case, tmp_path):
    content, _, merged, _ = case
    mixed = dict(content, images=content['images'][::2] + content['images'][1::2])
    path = tmp_path / 'mixed.json'
    path.write_text(json.dumps(mixed))
    truth = load_ground_truth(path)
    assert list(truth.frame_of_image.values()) == list(range(len(content['images'])))
    videos = [image['vid_id'] for images in truth.videos.values() for image in images]
    assert videos == sorted(videos)


def test_joints_are_found_by_name_and_head_size_by_the_box(tmp_path):
    """A file of 15 keypoints in another order holds the same persons."""
    content, _ = make_dataset(4, flags=False)
    merged, _ = write_both(tmp_path, content)
    other = copy.deepcopy(content)
    names = sorted(JOINTS)
    other['categories'][0]['keypoints'] = names
    for annotation in other['annotations']:
        triplets = np.reshape(annotation['keypoints'], (17, 3))
        annotation['keypoints'] = triplets[[KEYPOINTS.index(n) for n in names]].ravel().tolist()
    path = tmp_path / 'other.json'
    path.write_text(json.dumps(other))
    truth = load_ground_truth(merged)
    same_poses(truth.poses, load_ground_truth(path).poses)

    # Persons are in the order of the frames here, as the annotations are.
    for i, annotation in enumerate(content['annotations']):
        nose = annotation['keypoints'][:3]
        joint = JOINTS.index('nose')
        assert truth.poses.present[i, joint] == any(nose)
        assert truth.poses.points[i, joint].tolist() == nose[:2]
        width, height = annotation.get('bbox_head', [0, 0, 0, 0])[2:]
        assert truth.poses.head_size[i] == pytest.approx(0.6 * np.hypot(width, height))


def test_a_joint_with_a_place_but_no_visibility_counts_as_annotated(case, tmp_path):
    """The official code only takes three zeros for an unannotated joint."""
    content = copy.deepcopy(case[0])
    content['annotations'][0]['keypoints'][:6] = [5, 0, 0, 0, 0, 1]
    path = tmp_path / 'other.json'
    path.write_text(json.dumps(content))
    present = load_ground_truth(path).poses.present[0]
    assert present[JOINTS.index('nose')] and present[JOINTS.index('head_bottom')]


def test_submission_read_back_scores_the_same(case, tmp_path):
    content, poses, merged, _ = case
    truth = load_ground_truth(merged)
    files = write_submission(tmp_path / 'out', poses, truth)
    assert [f.name for f in files] == ['000001_mpii_test.json', '000002_mpii_test.json']
    again = load_submission(tmp_path / 'out', truth)
    direct = evaluate_poses(truth.poses, predicted_poses(poses, truth))
    result = evaluate_poses(truth.poses, predicted_poses(again, truth))
    for kind in direct:
        np.testing.assert_array_equal(direct[kind].ap, result[kind].ap)


def test_submission_holds_what_the_official_code_reads(case, tmp_path):
    """Every frame in order, per-joint scores, track ids unique in a frame and below 1000."""
    content, poses, merged, official = case
    truth = load_ground_truth(merged)
    for file in write_submission(tmp_path / 'out', poses, truth):
        written = json.loads(file.read_text())
        expected = json.loads((official / file.name).read_text())
        assert [i['id'] for i in written['images']] == [i['id'] for i in expected['images']]
        assert [i['file_name'] for i in written['images']] == [
            i['file_name'] for i in expected['images']
        ]
        assert written['categories'][0]['keypoints'] == KEYPOINTS
        assert len(written['annotations']) == sum(
            len(poses.get(i['id'], [])) for i in written['images']
        )
        for annotation in written['annotations']:
            assert annotation['scores'] == annotation['keypoints'][2::3]
            assert len(annotation['scores']) == 17
        tracks = [(a['image_id'], a['track_id']) for a in written['annotations']]
        assert len(set(tracks)) == len(tracks) and all(0 <= t < 1000 for _, t in tracks)


def test_submission_of_15_keypoints_leaves_the_ears_out(case, tmp_path):
    _, poses, merged, _ = case
    truth = load_ground_truth(merged)
    names = [name for name in KEYPOINTS if name in JOINTS]
    rows = [KEYPOINTS.index(name) for name in names]
    cut = {
        i: [
            dict(
                keypoints=p['keypoints'][rows],
                keypoint_scores=p['keypoint_scores'][rows],
                score=p['score'],
            )
            for p in found
        ]
        for i, found in poses.items()
    }
    write_submission(tmp_path / 'out', cut, truth, names)
    again = load_submission(tmp_path / 'out', truth)
    ours, others = predicted_poses(cut, truth, names), predicted_poses(again, truth)
    np.testing.assert_array_equal(ours.points, others.points)
    np.testing.assert_array_equal(ours.scores, others.scores)


def test_submission_without_scores_gets_the_lowest_rank(case, tmp_path):
    _, poses, merged, _ = case
    truth = load_ground_truth(merged)
    for file in write_submission(tmp_path / 'out', poses, truth):
        content = json.loads(file.read_text())
        for annotation in content['annotations']:
            annotation['scores'] = []
        file.write_text(json.dumps(content))
    scores = predicted_poses(load_submission(tmp_path / 'out', truth), truth).scores
    assert np.all(scores == -9999)


def test_a_video_without_frames_is_kept_and_written(case, tmp_path):
    _, poses, _, official = case
    content = json.loads(next(official.iterdir()).read_text())
    (official / '999999_mpii_test.json').write_text(
        json.dumps(dict(content, images=[], annotations=[]))
    )
    truth = load_ground_truth(official)
    files = write_submission(tmp_path / 'out', poses, truth)
    assert json.loads(files[-1].read_text())['images'] == []
    assert load_submission(tmp_path / 'out', truth).keys() == poses.keys()


def test_annotations_of_images_that_were_cut_out_are_left_out(case, tmp_path):
    content, _, merged, _ = case
    path = tmp_path / 'part.json'
    path.write_text(json.dumps(dict(content, images=content['images'][:3])))
    kept = {i['id'] for i in content['images'][:3]}
    assert len(load_ground_truth(path).poses.frame) == sum(
        a['image_id'] in kept for a in content['annotations']
    )


def test_a_test_set_without_annotations_loads_only_when_allowed(case, tmp_path):
    content = {k: v for k, v in case[0].items() if k != 'annotations'}
    path = tmp_path / 'test.json'
    path.write_text(json.dumps(content))
    assert len(load_ground_truth(path, annotations_required=False).poses.frame) == 0
    with pytest.raises(ValueError, match=r"test\.json: lacks 'annotations'"):
        load_ground_truth(path)


def change(content, what):
    if what == 'head boxes':
        for annotation in content['annotations']:
            annotation.pop('bbox_head', None)
    elif what == 'keypoint names':
        del content['categories'][0]['keypoints']
    elif what == 'COCO':
        content['categories'][0]['keypoints'][1:3] = ['left_eye', 'right_eye']
    elif what == 'file_name':
        del content['images'][0]['file_name']
    elif what == 'keypoints':
        del content['annotations'][0]['keypoints']
    elif what == 'length':
        content['annotations'][0]['keypoints'] = [1, 2, 3]
    elif what == 'twice':
        content['images'].append(content['images'][0])
    elif what == 'regions':
        content['images'][0].update(ignore_regions_x=[[1, 2, 3]], ignore_regions_y=[[1, 2]])
    elif what == 'flat regions':
        content['images'][0].update(ignore_regions_x=[1, 2, 3], ignore_regions_y=[1, 2, 3])
    elif what == 'flags':
        content['annotations'][0]['occluded'] = [1]
    elif what == 'PoseTrack17':
        content.clear()
        content['annolist'] = []
    elif what == 'video':
        content['images'][0].update(file_name='0.jpg', vid_id='')


@pytest.mark.parametrize(
    ('what', 'message'),
    [
        ('head boxes', "no annotation has 'bbox_head'"),
        ('keypoint names', "lacks 'keypoints' in 'categories'"),
        ('COCO', 'lacks the PoseTrack keypoints head_bottom, head_top'),
        ('file_name', "image 10000010000 lacks 'file_name'"),
        ('keypoints', "lacks 'keypoints'"),
        ('length', "3 values in 'keypoints', not 3 x 17"),
        ('twice', 'occurs twice'),
        ('regions', 'image 10000010000 .*as many x as y'),
        ('flat regions', 'image 10000010000 .*lists of polygons'),
        ('flags', "1 values in 'occluded', not 17"),
        ('PoseTrack17', "'annolist' is the format of PoseTrack17"),
        ('video', 'lies in no video folder'),
    ],
)
def test_a_file_that_is_not_posetracks_is_named_with_the_field(case, tmp_path, what, message):
    content = copy.deepcopy(case[0])
    change(content, what)
    path = tmp_path / 'broken.json'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as error:
        load_ground_truth(path)
    assert 'broken.json' in str(error.value)


def test_missing_and_unreadable_paths_are_named(tmp_path, case):
    with pytest.raises(ValueError, match='nowhere.json: no such annotation file'):
        load_ground_truth(tmp_path / 'nowhere.json')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='holds no json file'):
        load_ground_truth(tmp_path / 'empty')
    (tmp_path / 'cut.json').write_text('{"images": [')
    with pytest.raises(ValueError, match=r'cut\.json: not a json file'):
        load_ground_truth(tmp_path / 'cut.json')
    truth = load_ground_truth(case[2])
    with pytest.raises(ValueError, match='000001_mpii_test.json: the submission has no file'):
        load_submission(tmp_path / 'empty', truth)


def test_predictions_of_unknown_images_or_without_joints_are_refused(case):
    _, poses, merged, _ = case
    truth = load_ground_truth(merged)
    with pytest.raises(ValueError, match='image id 7,'):
        predicted_poses({7: []}, truth)
    with pytest.raises(ValueError, match='head_top'):
        predicted_poses(poses, truth, [n if n != 'head_top' else 'left_eye' for n in KEYPOINTS])


@pytest.mark.skipif(not SAMPLE.is_dir(), reason='no PoseTrack18 sample at ../shared/data')
def test_real_posetrack18_files_agree():
    """The COCO-style sample of MMPose and the official files hold the same persons."""
    merged = load_ground_truth(SAMPLE / 'test_posetrack18_val.json')
    official = load_ground_truth(SAMPLE / 'val')
    same_poses(merged.poses, official.poses)
    assert len(merged.poses.frame) == 14 and merged.num_without_head_box == 0
    assert [len(regions) for regions in merged.poses.ignore_regions] == [9, 2, 4]
