"""What this package writes, read and evaluated by the real pycocotools."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from diffpose_mm.evaluation.posetrack_files import load_ground_truth
from diffpose_mm.evaluation.posetrack_submissions import load_submission, write_submission
from diffpose_mm.keypoint_sets import keypoint_set
from diffpose_mm.posetrack.evaluator_fields import submitted_keypoints, with_evaluator_fields
from diffpose_mm.synthetic import synthesize

POSETRACK = keypoint_set('posetrack17')


def evaluate(truth, results):
    """OKS AP and AR of all areas as pycocotools has them, with PoseTrack's sigmas."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        evaluation = COCOeval(coco, coco.loadRes(results), 'keypoints')
        evaluation.params.kpt_oks_sigmas = np.array(POSETRACK.sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0], evaluation.stats[5]


@pytest.fixture(scope='module')
def synthetic(tmp_path_factory):
    """A synthetic set of one video."""
    root = tmp_path_factory.mktemp('synthetic') / 'set'
    synthesize(root, 0, 1, 3, size=(160, 120))
    return root / 'annotations' / 'posetrack18_val.json'


def poses_of(content):
    """The annotated poses as predictions: by image, with one joint of score 0 and one absent."""
    poses = {}
    for annotation in content['annotations']:
        triples = np.reshape(annotation['keypoints'], (17, 3))
        scores = np.where(triples.any(1), 0.9, 0)
        scores[0] = 0
        pose = dict(keypoints=triples[:, :2], keypoint_scores=scores, score=0.9)
        poses.setdefault(annotation['image_id'], []).append(
            {**pose, 'bbox': annotation['bbox'], 'track_id': annotation['track_id']}
        )
    return poses


def test_synthetic_annotations_are_read_by_pycocotools(synthetic):
    """Broken if a person has no area (a KeyError there), or `iscrowd` is none of its numbers."""
    content = json.loads(synthetic.read_text())
    assert content['annotations']
    for annotation in content['annotations']:
        assert annotation['id'] > 0 and annotation['area'] > 0
        assert annotation['iscrowd'] == 0 and not isinstance(annotation['iscrowd'], bool)
        triples = np.reshape(annotation['keypoints'], (17, 3))
        assert annotation['num_keypoints'] == (triples[:, 2] > 0).sum()
        assert not triples[triples[:, 2] == 0].any()
    results = [
        dict(
            image_id=a['image_id'],
            category_id=1,
            keypoints=a['keypoints'],
            score=0.5 + i / 1000,
        )
        for i, a in enumerate(content['annotations'])
    ]
    assert evaluate(synthetic, results) == (1.0, 1.0)


def test_a_submission_is_read_by_pycocotools_and_by_us(synthetic, tmp_path):
    """Ids from 1, scores always, (0, 0, 0) of an absent joint and else no 0 as third value."""
    truth = load_ground_truth(synthetic)
    poses = poses_of(json.loads(synthetic.read_text()))
    (file,) = write_submission(tmp_path, poses, truth)
    content = json.loads(file.read_text())
    assert [a['id'] for a in content['annotations']] == [*range(1, len(content['annotations']) + 1)]
    for annotation in content['annotations']:
        triples = np.reshape(annotation['keypoints'], (17, 3))
        is_there = triples[:, :2].any(1)
        assert ((triples[:, 2] != 0) == is_there).all()
        assert len(annotation['scores']) == 17 and annotation['scores'][0] == 0
        assert annotation['num_keypoints'] == is_there.sum()
        assert annotation['area'] > 0 and annotation['iscrowd'] == 0
    results = [
        {key: a[key] for key in ('image_id', 'category_id', 'keypoints', 'score')}
        for a in content['annotations']
    ]
    assert evaluate(synthetic, results) == (1.0, 1.0)
    # As ground truth as well, which needs all fields of every person.
    assert evaluate(file, results) == (1.0, 1.0)
    back = load_submission(tmp_path, truth)
    for image_id, found in back.items():
        for before, after in zip(poses[image_id], found):
            np.testing.assert_array_equal(before['keypoints'], after['keypoints'])
            np.testing.assert_array_equal(before['keypoint_scores'], after['keypoint_scores'])


def test_what_is_missing_is_added_and_what_is_there_stays():
    person = dict(keypoints=[10, 20, 1, 0, 0, 0, 14, 30, 1])
    full = with_evaluator_fields(dict(person, bbox=[8, 18, 10, 20]))
    assert full['num_keypoints'] == 2 and full['iscrowd'] == 0
    assert full['area'] == pytest.approx(0.53 * 200)
    no_box = with_evaluator_fields(person)
    assert 'bbox' not in no_box and no_box['area'] == pytest.approx(0.53 * 40)
    nothing = with_evaluator_fields(dict(id=3))
    assert (nothing['bbox'], nothing['area'], nothing['num_keypoints']) == ([0, 0, 0, 0], 0, 0)
    stated = dict(person, area=5.5, iscrowd=True, num_keypoints=1, bbox=[1, 2, 3, 4])
    assert with_evaluator_fields(stated) == dict(stated, iscrowd=1)


def test_a_joint_of_score_zero_is_there_and_an_absent_one_is_not():
    triples = submitted_keypoints(
        np.array([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]), np.array([0, 0.5, 0.9]), [True, True, False]
    )
    assert triples == [[3, 4, 1e-6], [5, 6, 0.5], [0, 0, 0]]
