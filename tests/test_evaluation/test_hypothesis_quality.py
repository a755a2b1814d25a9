"""Best of N, consensus, impossible poses and calibration, against loops and worked examples."""

import numpy as np
import pytest

from diffpose_mm.evaluation.hypothesis_quality import (
    HypothesisQuality,
    pair_errors,
    reliability,
)

SIGMAS = np.array([0.03, 0.05, 0.05, 0.09])
META = dict(sigmas=SIGMAS, flip_indices=[0, 2, 1, 3])
TRUE = np.array([[50.0, 10], [20, 50], [80, 50], [50, 90]])
ANNOTATED = np.ones(4, dtype=bool)


def sample(hypotheses, true=TRUE, visible=None, std=None, occluded=None, pose=None):
    hypotheses = np.asarray(hypotheses, dtype=float)
    visible = np.ones(len(true)) if visible is None else np.asarray(visible, dtype=float)
    pose = hypotheses.mean(0) if pose is None else pose
    return dict(
        id=1,
        img_path='a.jpg',
        raw_ann_info=dict(id=1) if occluded is None else dict(id=1, occluded=occluded),
        pred_instances=dict(
            keypoints=pose[None],
            hypotheses=hypotheses[None],
            keypoint_std=(hypotheses.std(0) if std is None else std)[None],
        ),
        gt_instances=dict(
            keypoints=true[None],
            keypoints_visible=visible[None],
            bboxes=np.array([[0.0, 0, 100, 100]]),
        ),
    )


def measured(samples, **kwargs):
    metric = HypothesisQuality(**kwargs)
    metric.dataset_meta = META
    metric.process([], samples)
    return metric.compute_metrics(metric.results)


def test_joints_that_are_not_annotated_do_not_count():
    pose = TRUE.copy()
    pose[3] += 1000
    metrics = measured([sample([pose, pose], visible=[1, 1, 1, 0])])
    assert metrics['best-of-1 OKS'] == metrics['best-of-1 PCK'] == metrics['mean PCK'] == 100


def test_duplicates_and_inversions_of_worked_poses():
    """Broken if one were counted as the other, or a pair that is truly at one place were."""
    duplicate = TRUE.copy()
    duplicate[1] = duplicate[2] + 1
    inverted = TRUE[[0, 2, 1, 3]]
    poses = np.stack([TRUE, duplicate, inverted])
    pairs = [(1, 2)]
    duplicates, inversions, num_pairs = pair_errors(poses, TRUE, ANNOTATED, pairs, match_radius=5)
    assert duplicates.tolist() == [0, 1, 0] and inversions.tolist() == [0, 0, 1] and num_pairs == 1
    near = TRUE.copy()
    near[2] = near[1] + 3
    assert pair_errors(poses, near, ANNOTATED, pairs, match_radius=5)[2] == 0, 'truly at one place'
    one_side = np.array([True, False, True, True])
    assert pair_errors(poses, TRUE, one_side, pairs, match_radius=5)[2] == 0


def test_reliability_bins_hold_equally_many_and_tell_a_calibrated_spread():
    generator = np.random.default_rng(3)
    spread = generator.uniform(1, 10, 8000)
    bins = reliability(spread, np.abs(generator.normal(0, spread)), bins=8)
    assert [b['joints'] for b in bins] == [1000] * 8
    np.testing.assert_allclose([b['error'] / b['spread'] for b in bins], 1, atol=0.15)
    # The quartiles of |N(0, 1)|.
    for b in bins:
        np.testing.assert_allclose(
            np.array(b['quartiles']) / b['spread'], (0.319, 0.674, 1.150), rtol=0.15
        )


def test_best_of_n_grows_with_n_and_a_worked_example_comes_out():
    wrong = TRUE + [30.0, 0]
    half = TRUE.copy()
    half[:2] += 30
    metrics = measured([sample([wrong, half, TRUE], pose=wrong)], numbers=(1, 2, 3, 10))
    assert metrics['best-of-1 PCK'] == 0
    assert metrics['best-of-2 PCK'] == 50
    assert metrics['best-of-3 PCK'] == 100
    assert metrics['best-of-3 OKS'] == pytest.approx(100)
    assert metrics['mean PCK'] == 0
    assert 'best-of-10 PCK' not in metrics


def test_shares_are_over_all_pairs():
    inverted = TRUE[[0, 2, 1, 3]]
    metrics = measured([sample([TRUE, TRUE]), sample([inverted, TRUE], pose=inverted)])
    assert metrics['mean inversion rate'] == metrics['single inversion rate'] == 50
    assert metrics['mean duplicate rate'] == 0


def test_match_radius_is_a_share_of_the_persons_size():
    """Broken if the argument did not reach the pairs, or were taken for pixels."""
    pose = TRUE.copy()
    pose[1] = pose[2] + [8, 0]  # 8 % of the box of 100 x 100 pixels
    for radius, rate in (0.05, 0), (0.1, 100):
        metrics = measured([sample([pose, pose])], match_radius=radius)
        assert metrics['mean duplicate rate'] == metrics['consensus duplicate rate'] == rate


def test_predictions_without_a_spread_have_no_ratio():
    """Broken if a pose of one hypothesis, which has no spread, could not be measured."""
    entry = sample([TRUE, TRUE + 1])
    del entry['pred_instances']['keypoint_std']
    metrics = measured([entry])
    assert metrics['Spearman'] == 0 and 'error/spread' not in metrics


def test_spread_that_knows_its_errors_correlates_also_on_occluded_joints():
    generator = np.random.default_rng(4)
    samples = []
    for _ in range(60):
        std = generator.uniform(0.5, 12, (4, 2))
        pose = TRUE + generator.normal(0, std)
        samples.append(sample([TRUE, TRUE], pose=pose, std=std, occluded=[0, 1, 0, 1]))
    metrics = measured(samples)
    assert metrics['Spearman'] > 0.4 and metrics['Spearman occluded'] > 0.4
    assert metrics['error/spread'] == pytest.approx(1, abs=0.15)
    for entry in samples:
        entry['pred_instances']['keypoint_std'] /= 2
    assert measured(samples)['error/spread'] == pytest.approx(2 * metrics['error/spread'])
    for entry in samples:
        entry['pred_instances']['keypoint_std'][:] = generator.uniform(1, 9, (1, 4, 2))
    assert abs(measured(samples)['Spearman']) < 0.25


def test_bins_of_occluded_joints_hold_those_alone():
    """Broken if the reliability of occluded joints were that of all."""
    metric = HypothesisQuality()
    metric.dataset_meta = META
    metric.process([], [sample([TRUE, TRUE + 1], occluded=[0, 1, 0, 0]) for _ in range(8)])
    metric.compute_metrics(metric.results)
    assert sum(b['joints'] for b in metric.bins['all']) == 32
    assert sum(b['joints'] for b in metric.bins['occluded']) == 8


def test_what_cannot_be_measured_is_an_error():
    metric = HypothesisQuality()
    metric.dataset_meta = META
    entry = sample([TRUE, TRUE])
    del entry['pred_instances']['hypotheses']
    with pytest.raises(ValueError, match='no hypotheses for image .*a.jpg.*num_hypotheses'):
        metric.process([], [entry])
    entry = sample([TRUE, TRUE])
    del entry['gt_instances']['keypoints']
    with pytest.raises(ValueError, match='is not an annotated one: set bbox_file=None'):
        metric.process([], [entry])
    entry = sample([TRUE, TRUE])
    del entry['raw_ann_info']
    with pytest.raises(ValueError, match='is not an annotated one: set bbox_file=None'):
        metric.process([], [entry])
    with pytest.raises(ValueError, match='not one annotated joint'):
        measured([sample([TRUE, TRUE], visible=[0, 0, 0, 0])])
    with pytest.raises(ValueError, match='at least 1'):
        HypothesisQuality(numbers=(0, 2))
