"""PoseTrackAP as mmengine's evaluator uses it, beside what mmpose's own metric does."""

import copy
import itertools
import json
import logging

import numpy as np
import pytest
import torch
from evaluation_cases import KEYPOINTS, as_poses, make_dataset, write_both
from mmengine.evaluator import Evaluator
from mmengine.logging import MessageHub, MMLogger
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation.metrics import CocoMetric
from mmpose.registry import METRICS

from diffpose_mm.evaluation import (
    PoseTrackAP,
    evaluate_poses,
    load_ground_truth,
    load_submission,
    predicted_poses,
)
from diffpose_mm.keypoint_sets import keypoint_set, places_in

GROUP_KEYS = ['Head AP', 'Shou AP', 'Elb AP', 'Wri AP', 'Hip AP', 'Knee AP', 'Ankl AP']
META = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/posetrack18.py'))


def samples_of(poses, seed=0):
    """Top-down data samples, one a pose, as mmpose's evaluator hands them to a metric."""
    rng = np.random.default_rng(seed)
    ids = itertools.count()
    return [
        dict(
            id=next(ids),
            img_id=image_id,
            img_path=f'{image_id}.jpg',
            pred_instances=dict(
                keypoints=keypoints[None].astype(np.float32),
                keypoint_scores=scores[None].astype(np.float32),
                bboxes=np.array([[10.0, 20, 110, 220]], np.float32),
            ),
            gt_instances=dict(
                bbox_scores=rng.random(1).astype(np.float32),
                bbox_scales=rng.uniform(80, 160, (1, 2)).astype(np.float32),
            ),
        )
        for image_id, found in poses.items()
        for keypoints, scores in found
    ]


def evaluate(samples, ann_file, **arguments):
    metric = PoseTrackAP(ann_file=str(ann_file), **arguments)
    metric.dataset_meta = META
    metric.process([], samples)
    return metric.evaluate(len(samples))


@pytest.fixture
def case(tmp_path):
    content, poses = make_dataset(5, num_frames=6)
    return content, poses, *write_both(tmp_path, content)


def test_is_found_by_name_in_mmposes_registry(case):
    metric = METRICS.build(dict(type='PoseTrackAP', ann_file=str(case[2])))
    assert isinstance(metric, PoseTrackAP) and metric.prefix == 'posetrack'


def test_keys_through_the_evaluator_are_those_that_save_best_can_name(case):
    content, poses, merged, _ = case
    evaluator = Evaluator(dict(type='mmpose.PoseTrackAP', ann_file=str(merged)))
    evaluator.dataset_meta = META
    samples = samples_of(poses)
    evaluator.process(samples, [])
    metrics = evaluator.evaluate(len(samples))
    assert list(metrics) == [
        f'posetrack/{key}'
        for key in (*GROUP_KEYS, 'AP', 'AP (occluded)', 'AP (blurred)', 'AP (clear)')
    ]
    assert all(isinstance(value, float) for value in metrics.values())


def test_without_flags_there_are_no_hard_joint_keys(tmp_path):
    content, poses = make_dataset(5, flags=False)
    merged, _ = write_both(tmp_path, content)
    assert list(evaluate(samples_of(poses), merged)) == [
        f'posetrack/{key}' for key in (*GROUP_KEYS, 'AP')
    ]


def test_numbers_are_those_of_the_protocol_in_percent(case):
    _, poses, merged, official = case
    metrics = evaluate(samples_of(poses), merged, nms_mode='none')
    truth = load_ground_truth(merged)
    float32 = {
        i: [(k.astype(np.float32), s.astype(np.float32)) for k, s in found]
        for i, found in poses.items()
    }
    expected = evaluate_poses(truth.poses, predicted_poses(as_poses(float32), truth))
    assert metrics['posetrack/AP'] == expected['all'].mean > 1
    assert metrics['posetrack/Head AP'] == expected['all'].groups['Head']
    assert metrics['posetrack/AP (occluded)'] == expected['occluded'].mean
    assert metrics == evaluate(samples_of(poses), official, nms_mode='none')


def test_samples_repeated_or_mixed_by_the_distributed_sampler_change_nothing(case):
    """To the last digit: processes finish in any order, and the sampler fills up with repeats."""
    _, poses, merged, _ = case
    samples = samples_of(poses)
    expected = evaluate(samples, merged)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(samples))
        mixed = [copy.deepcopy(samples[i]) for i in (*order, *order[:7])]
        assert evaluate(mixed, merged) == expected


class KeptByMMPose(CocoMetric):
    """What mmpose's CocoMetric, PoseTrack18Metric's base, would write after scoring and NMS."""

    def results2json(self, keypoints, outfile_prefix):
        self.kept = keypoints


@pytest.mark.parametrize('score_mode', ['bbox', 'keypoint', 'bbox_keypoint', 'bbox_rle'])
@pytest.mark.parametrize('nms_mode', ['none', 'oks_nms', 'soft_oks_nms'])
def test_scores_and_nms_are_mmposes(case, tmp_path, score_mode, nms_mode):
    _, poses, merged, _ = case
    samples = samples_of(poses)
    arguments = dict(
        score_mode=score_mode,
        nms_mode=nms_mode,
        nms_thr=0.5,
        format_only=True,
        keypoint_score_thr=0.4,
    )
    theirs = KeptByMMPose(ann_file=str(merged), outfile_prefix='unused/x', **arguments)
    theirs.dataset_meta = META
    theirs.process([], copy.deepcopy(samples))
    theirs.compute_metrics(theirs.results)

    folder = tmp_path / 'out'
    evaluate(samples, merged, outfile_prefix=str(folder / 'x'), **arguments)
    written = [json.loads(f.read_text())['annotations'] for f in sorted(folder.iterdir())]
    ours = {}
    for annotation in itertools.chain(*written):
        ours.setdefault(annotation['image_id'], []).append(annotation)
    assert ours.keys() == theirs.kept.keys()
    for image_id, kept in theirs.kept.items():
        for a, b in zip(ours[image_id], kept, strict=True):
            np.testing.assert_array_equal(np.reshape(a['keypoints'], (17, 3)), b['keypoints'])
            assert a['score'] == pytest.approx(float(b['score']), rel=1e-5)
            np.testing.assert_allclose(a['bbox'], [10, 20, 100, 200])


def test_nms_removes_a_person_found_twice(case):
    """Two copies of every pose score the same as one after NMS, and less without."""
    _, poses, merged, _ = case
    samples = samples_of(poses)
    twice = samples + [dict(sample, id=sample['id'] + 1000) for sample in samples]
    once = evaluate(samples, merged)
    assert evaluate(twice, merged) == once
    assert evaluate(twice, merged, nms_mode='none')['posetrack/AP'] < once['posetrack/AP']


def test_format_only_writes_the_official_folder_and_no_numbers(case, tmp_path):
    content, poses, merged, _ = case
    del content['annotations']
    test_set = tmp_path / 'posetrack18_test.json'
    test_set.write_text(json.dumps(content))
    folder = tmp_path / 'submission'
    assert (
        evaluate(
            samples_of(poses),
            test_set,
            format_only=True,
            nms_mode='none',
            outfile_prefix=str(folder / 'results'),
        )
        == {}
    )
    assert sorted(f.name for f in folder.iterdir()) == [
        '000001_mpii_test.json',
        '000002_mpii_test.json',
    ]
    truth = load_ground_truth(merged)
    again = predicted_poses(load_submission(folder, truth), truth)
    assert len(again.frame) == sum(map(len, poses.values()))


@pytest.mark.parametrize(
    ('source', 'text'),
    [
        ('detected', 'boxes: detected'),
        ('ground_truth', 'boxes: ground truth'),
        (None, 'boxes: source not stated'),
    ],
)
def test_table_shows_groups_and_mean_and_says_whose_boxes(case, caplog, source, text):
    _, poses, merged, _ = case
    logger = MMLogger.get_instance('test_posetrack_ap', log_level='INFO')
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO):
            metrics = evaluate(samples_of(poses), merged, box_source=source)
    finally:
        logger.removeHandler(caplog.handler)
    assert text in caplog.text and '2 videos, 12 frames' in caplog.text
    cells = next(line for line in caplog.text.splitlines() if line.startswith('| all'))
    cells = [cell.strip() for cell in cells.strip('|').split('|')]
    assert cells[1:9] == [f'{metrics[f"posetrack/{key}"]:.1f}' for key in (*GROUP_KEYS, 'AP')]
    assert 'have no head box' in caplog.text


def test_the_datasets_word_on_its_boxes_counts(case, monkeypatch):
    """A file of detections may be set at test time, and box_source be left as it was."""
    _, poses, merged, _ = case
    said = []
    monkeypatch.setattr(
        'diffpose_mm.evaluation.posetrack_ap.print_log', lambda message, *_: said.append(message)
    )
    metric = PoseTrackAP(ann_file=str(merged), box_source='ground_truth')
    metric.dataset_meta = dict(META, box_source='detected')
    metric.process([], samples_of(poses))
    metric.evaluate(1)
    assert 'boxes: detected\n' in said[-1] and "the tested boxes are 'detected'" in said[-2]


def test_ann_file_may_come_from_the_tested_dataset(case):
    """It is the one of the dataset whose meta was set, not of one that was built later."""
    _, poses, merged, _ = case
    samples = samples_of(poses)
    hub = MessageHub.get_current_instance()
    metric = PoseTrackAP()
    hub.update_info('posetrack18_ann_file', None)
    metric.dataset_meta = META
    metric.process([], samples)
    with pytest.raises(ValueError, match='ann_file is not given'):
        metric.compute_metrics(metric.results)
    try:
        hub.update_info('posetrack18_ann_file', str(merged))
        metric.dataset_meta = META
        hub.update_info('posetrack18_ann_file', 'of_another_dataset.json')
        assert metric.evaluate(len(samples)) == evaluate(samples, merged)
    finally:
        hub.update_info('posetrack18_ann_file', None)


def test_tensors_and_missing_meta_are_taken(case):
    _, poses, merged, _ = case
    samples = samples_of(poses)
    expected = evaluate(samples, merged)
    for sample in samples:
        for group in ('pred_instances', 'gt_instances'):
            sample[group] = {k: torch.from_numpy(v) for k, v in sample[group].items()}
    metric = PoseTrackAP(ann_file=str(merged))
    metric.process([], samples)
    assert metric.evaluate(len(samples)) == expected


def test_several_persons_in_one_sample_count_each(case):
    """Bottom-up models give one sample a frame."""
    _, poses, merged, _ = case
    together = [
        dict(
            id=i,
            img_id=image_id,
            pred_instances=dict(
                keypoints=np.stack([k for k, _ in found]).astype(np.float32),
                keypoint_scores=np.stack([s for _, s in found]).astype(np.float32),
            ),
        )
        for i, (image_id, found) in enumerate(poses.items())
    ]
    assert evaluate(together, merged, nms_mode='none') == evaluate(
        samples_of(poses), merged, nms_mode='none'
    )


@pytest.mark.parametrize('field', ['keypoints', 'keypoint_scores'])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_prediction_that_is_not_finite_names_the_image(case, field, value):
    _, poses, merged, _ = case
    samples = samples_of(poses)
    samples[2]['pred_instances'][field].flat[3] = value
    with pytest.raises(ValueError, match=f'{field} of image .*{samples[2]["img_id"]}.jpg'):
        evaluate(samples, merged)


def test_wrong_predictions_are_refused(case):
    _, poses, merged, _ = case
    samples = samples_of(poses)
    no_instances = [dict(id=0, img_id=1, img_path='a.jpg')]
    with pytest.raises(ValueError, match="no pred_instances for image 'a.jpg'"):
        evaluate(no_instances, merged)
    flat = copy.deepcopy(samples[:1])
    flat[0]['pred_instances']['keypoint_scores'] = np.ones(17)
    with pytest.raises(ValueError, match=r'keypoints must be \(N, K, 2\)'):
        evaluate(flat, merged)
    few = copy.deepcopy(samples[:1])
    for name in ('keypoints', 'keypoint_scores'):
        few[0]['pred_instances'][name] = few[0]['pred_instances'][name][:, :14]
    with pytest.raises(ValueError, match='14 keypoints, the dataset has 17'):
        evaluate(few, merged)
    unknown = copy.deepcopy(samples[:1])
    unknown[0]['img_id'] = 77
    with pytest.raises(ValueError, match='image id 77, which ann_file does not have'):
        evaluate(unknown, merged)
    with pytest.raises(ValueError, match='no predictions to evaluate'):
        evaluate([], merged)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(score_mode='mean'), 'score_mode must be one of'),
        (dict(nms_mode='box'), 'nms_mode must be one of'),
        (dict(format_only=True), 'needs outfile_prefix'),
        (dict(ann_file='nowhere.json'), 'nowhere.json: no such annotation file'),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        PoseTrackAP(**arguments)


def test_metainfo_of_mmpose_has_the_expected_order():
    assert [META['keypoint_id2name'][i] for i in range(17)] == KEYPOINTS


def test_a_model_of_coco_is_measured_on_the_joints_that_it_has(case, tmp_path):
    """Broken if its eyes are taken for head_bottom and head_top, or these two count as missed."""
    _, poses, merged, _ = case
    coco = keypoint_set('coco17')
    places = places_in(KEYPOINTS, coco.keypoints)
    samples, renamed = samples_of(poses), samples_of(poses)
    for sample in renamed:
        for name in ('keypoints', 'keypoint_scores'):
            sample['pred_instances'][name] = sample['pred_instances'][name][:, places]
            sample['pred_instances'][name][:, places < 0] = 7
    expected = evaluate(samples, merged, nms_mode='none')
    metric = PoseTrackAP(
        ann_file=str(merged), nms_mode='none', outfile_prefix=str(tmp_path / 'out' / 'x')
    )
    metric.dataset_meta = parse_pose_metainfo(coco.metainfo())
    metric.process([], renamed)
    found = metric.evaluate(len(renamed))
    for group in GROUP_KEYS[1:]:
        # A pose is given to the person with whom most joints agree, which are fewer now.
        assert abs(found[f'posetrack/{group}'] - expected[f'posetrack/{group}']) < 8
    assert np.isnan(found['posetrack/Head AP']) and found['posetrack/AP'] > 0
    for file in (tmp_path / 'out').glob('*.json'):
        for annotation in json.loads(file.read_text())['annotations']:
            assert annotation['keypoints'][3:9] == [0] * 6
