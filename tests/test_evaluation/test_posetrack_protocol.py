"""The vectorised protocol against one written as plain loops, and against hand-made cases."""

import numpy as np
import pytest
from evaluation_cases import KEYPOINTS, as_poses, make_dataset, slow_inside, write_both

from diffpose_mm.evaluation import evaluate_poses, load_ground_truth, predicted_poses
from diffpose_mm.evaluation.posetrack_protocol import (
    GROUPS,
    JOINTS,
    PredictedPoses,
    TruePoses,
    average_precision,
)

# --- the protocol once more, frame by frame and joint by joint -----------------------------------


def slow_ap(entries, num_true, tied):
    """Area under the precision envelope of (score, correct) entries."""
    if not entries:
        return 0.0
    if num_true == 0:
        return float('nan')
    if tied:
        order = np.argsort(np.array([score for score, _ in entries]))[::-1]
        entries = [entries[i] for i in order]
    else:
        entries = sorted(entries, key=lambda entry: -entry[0])
    curve, hits = [], 0
    for rank, (_, correct) in enumerate(entries, 1):
        hits += bool(correct)
        curve.append((hits / num_true, hits / rank))
    area, last = 0.0, 0.0
    for i, (recall, _) in enumerate(curve):
        if recall > last:
            area += (recall - last) * max(precision for _, precision in curve[i:])
            last = recall
    return 100 * area


def slow_evaluation(content, poses, tied=False):
    """Kind of joint -> list of 15 APs, from a COCO-style dict and (keypoints, scores) by image."""
    entries = {
        kind: {joint: [] for joint in JOINTS} for kind in ('all', 'occluded', 'blurred', 'clear')
    }
    num_true = {kind: dict.fromkeys(JOINTS, 0) for kind in entries}
    for image in sorted(content['images'], key=lambda image: image['file_name']):
        persons = [a for a in content['annotations'] if a['image_id'] == image['id']]
        if not persons:
            continue
        regions = list(zip(image.get('ignore_regions_x', []), image.get('ignore_regions_y', [])))

        def kept(x, y, regions=regions):
            return not any(slow_inside(x, y, *region) for region in regions)

        people = []
        for person in persons:
            joints, kinds = {}, {}
            for i, joint in enumerate(KEYPOINTS):
                x, y, visible = person['keypoints'][3 * i : 3 * i + 3]
                if joint in JOINTS and (x or y or visible) and kept(x, y):
                    joints[joint] = (x, y)
                    of = [f for f in ('occluded', 'blurred') if person.get(f, [0] * 17)[i]]
                    kinds[joint] = ['all', *(of or ['clear'])]
                    for kind in kinds[joint]:
                        num_true[kind][joint] += 1
            _, _, width, height = person.get('bbox_head', [0, 0, 0, 0])
            people.append((joints, kinds, 0.6 * (width**2 + height**2) ** 0.5))

        found = []
        for keypoints, scores in poses.get(image['id'], []):
            found.append(
                {
                    joint: (*keypoints[i], scores[i])
                    for i, joint in enumerate(KEYPOINTS)
                    if joint in JOINTS and kept(*keypoints[i])
                }
            )

        def right(pose, person, joint):
            joints, _, size = person
            if joint not in joints or joint not in pose or size == 0:
                return False
            (ax, ay), (bx, by, _) = joints[joint], pose[joint]
            return ((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5 / size <= 0.5

        proposals = {}
        for number, pose in enumerate(found):
            worth = [
                sum(right(pose, person, j) for j in JOINTS) / max(len(person[0]), 1)
                for person in people
            ]
            proposals[number] = (worth.index(max(worth)), max(worth))
        assigned = {}
        for person in range(len(people)):
            best, best_worth = None, 0
            for number, (proposed, worth) in proposals.items():
                if proposed == person and worth > best_worth:
                    best, best_worth = number, worth
            if best is not None:
                assigned[best] = person

        for number, pose in enumerate(found):
            person = people[assigned[number]] if number in assigned else None
            for joint, (_, _, score) in pose.items():
                correct = person is not None and right(pose, person, joint)
                for kind in entries:
                    if person is not None and joint in person[0] and kind not in person[1][joint]:
                        continue
                    entries[kind][joint].append((score, correct))
    return {
        kind: [
            slow_ap(entries[kind][j], num_true[kind][j], tied)
            if kind == 'all' or num_true[kind][j]
            else float('nan')
            for j in JOINTS
        ]
        for kind in entries
    }


@pytest.mark.parametrize('seed', range(25))
def test_equals_plain_loops(seed, tmp_path):
    """All, occluded, blurred and clear APs of each joint equal those of the slow protocol."""
    tied = seed % 3 == 0
    content, poses = make_dataset(seed, num_videos=seed % 3 + 1, num_frames=seed % 7 + 4, tied=tied)
    merged, _ = write_both(tmp_path, content)
    truth = load_ground_truth(merged)
    result = evaluate_poses(truth.poses, predicted_poses(as_poses(poses), truth))
    slow = slow_evaluation(content, poses, tied)
    for kind, ap in result.items():
        np.testing.assert_allclose(ap.ap, slow[kind], rtol=0, atol=1e-9, err_msg=kind)
    assert np.nanmax(result['all'].ap) > 0


# --- cases whose result follows from the rules by hand -------------------------------------------


def truth_of(
    frames, points=None, head=10.0, num_frames=None, present=None, regions=None, flags=None
):
    """True persons in the given frames; joints at 100 + 10 i, or ``points`` (P, 15, 2)."""
    number = len(frames)
    if points is None:
        points = np.zeros((number, 15, 2)) + 100 + 10 * np.arange(15)[:, None]
    num_frames = num_frames or max(frames, default=-1) + 1
    return TruePoses(
        frame=np.array(frames, dtype=int),
        points=np.array(points, dtype=float),
        present=np.ones((number, 15), bool) if present is None else np.array(present),
        head_size=np.full(number, head),
        ignore_regions=regions or [[]] * num_frames,
        flags=flags or {},
    )


def predictions_of(frames, points, scores=None):
    number = len(frames)
    if scores is None:
        scores = np.linspace(1, 0.5, number)[:, None].repeat(15, 1)
    return PredictedPoses(
        np.array(frames, dtype=int),
        np.array(points, dtype=float).reshape(number, 15, 2),
        np.ones((number, 15), bool),
        np.array(scores, dtype=float).reshape(-1, 15),
    )


def test_perfect_predictions_have_ap_100():
    truth = truth_of([0, 1])
    result = evaluate_poses(truth, predictions_of([0, 1], truth.points))
    assert list(result) == ['all']
    assert np.all(result['all'].ap == 100) and result['all'].mean == 100
    assert result['all'].groups == dict.fromkeys(GROUPS, 100.0)


def test_a_frame_without_predictions_counts_as_missed():
    truth = truth_of([0, 1])
    result = evaluate_poses(truth, predictions_of([0], truth.points[:1]))['all']
    np.testing.assert_allclose(result.ap, 50)


def test_predictions_in_a_frame_without_persons_are_no_false_positives():
    truth = truth_of([0], num_frames=2)
    points = np.concatenate([truth.points, truth.points])
    result = evaluate_poses(truth, predictions_of([0, 1], points, np.r_[[0.1] * 15, [0.9] * 15]))
    assert result['all'].mean == 100


def test_predictions_beside_a_person_without_keypoints_are_false_positives():
    truth = truth_of([0, 1], present=[[True] * 15, [False] * 15])
    points = np.concatenate([truth.points[:1], truth.points[:1]])
    result = evaluate_poses(truth, predictions_of([0, 1], points, np.r_[[0.1] * 15, [0.9] * 15]))
    np.testing.assert_allclose(result['all'].ap, 50)


def test_distance_of_exactly_half_a_head_is_correct():
    truth = truth_of([0], head=10.0)
    exact, over = truth.points + (3, 4), truth.points + (3, 4.001)
    assert evaluate_poses(truth, predictions_of([0], exact))['all'].mean == 100
    assert evaluate_poses(truth, predictions_of([0], over))['all'].mean == 0


def test_a_refused_pose_gets_no_second_person():
    """Both poses propose to the first person; the refused one may not take the second, near one."""
    first = np.full((15, 2), 100.0)
    second = first + (6, 0)
    second[0] += 50
    truth = truth_of([0, 0], [first, second])
    poses = [first, first + (2, 0)]
    result = evaluate_poses(truth, predictions_of([0, 0], poses))['all']
    # One of two true joints is found by the better-ranked pose, the other pose is all false.
    np.testing.assert_allclose(result.ap, 50)


def test_the_first_of_equal_poses_and_of_equal_persons_is_taken():
    point = np.full((1, 15, 2), 100.0)
    truth = truth_of([0, 0], np.concatenate([point, point]))
    scores = np.r_[[0.2] * 15, [0.8] * 15]
    result = evaluate_poses(truth, predictions_of([0, 0], [point, point], scores))['all']
    # Both poses propose to the first person, who takes the first pose, which ranks second.
    np.testing.assert_allclose(result.ap, 100 * 0.5 * 0.5)


def test_a_person_without_head_box_cannot_be_matched():
    truth = truth_of([0], head=0.0)
    result = evaluate_poses(truth, predictions_of([0], truth.points))['all']
    assert result.num_true.sum() == 15 and np.all(result.ap == 0)


def test_joints_in_ignore_regions_are_neither_true_nor_false():
    square = np.array([[95.0, 95], [105, 95], [105, 105], [95, 105]])
    truth = truth_of([0], regions=[[square]])
    result = evaluate_poses(truth, predictions_of([0], truth.points))['all']
    # Joint 0 lies at (100, 100): deleted on both sides, so nobody predicted it.
    assert result.num_true[0] == 0 and result.ap[0] == 0
    assert np.all(result.ap[1:] == 100)


def test_a_joint_on_the_border_of_a_region_stays():
    square = np.array([[100.0, 95], [105, 95], [105, 105], [100, 105]])
    truth = truth_of([0], regions=[[square]])
    assert evaluate_poses(truth, predictions_of([0], truth.points))['all'].ap[0] == 100


def test_a_joint_never_annotated_has_no_ap_and_stays_out_of_the_mean():
    present = np.ones((1, 15), bool)
    present[0, JOINTS.index('nose')] = False
    truth = truth_of([0], present=present)
    result = evaluate_poses(truth, predictions_of([0], truth.points))['all']
    assert np.isnan(result.ap[JOINTS.index('nose')]) and result.mean == 100
    assert np.isnan(result.groups['Head']) and result.groups['Ankl'] == 100


def test_the_mean_runs_over_joints_and_not_over_groups():
    truth = truth_of([0])
    points = truth.points.copy()
    for joint in GROUPS['Head']:
        points[0, JOINTS.index(joint)] += 500
    result = evaluate_poses(truth, predictions_of([0], points))['all']
    assert result.groups['Head'] == 0 and result.mean == pytest.approx(100 * 12 / 15)


def test_hard_joints_leave_out_what_is_assigned_to_easy_ones():
    """A wrong prediction of an easy joint is no false positive among the occluded ones."""
    truth = truth_of([0, 1], flags={'occluded': np.array([[True] * 15, [False] * 15])})
    points = truth.points.copy()
    points[1, 1:4] += 500
    scores = np.r_[[0.1] * 15, [0.9] * 15]
    result = evaluate_poses(truth, predictions_of([0, 1], points, scores))
    assert result['occluded'].mean == 100
    np.testing.assert_allclose(result['clear'].ap[1:4], 0)
    np.testing.assert_allclose(result['clear'].ap[4:], 100)
    assert result['occluded'].num_true.sum() == result['clear'].num_true.sum() == 15


def test_hard_joints_keep_false_positives_of_unassigned_poses():
    truth = truth_of([0], flags={'occluded': np.ones((1, 15), bool)})
    points = [truth.points[0], truth.points[0] + 500]
    result = evaluate_poses(truth, predictions_of([0, 0], points, np.r_[[0.1] * 15, [0.9] * 15]))
    np.testing.assert_allclose(result['occluded'].ap, 50)
    assert np.isnan(result['clear'].mean)


def test_nothing_at_all_is_zero_and_not_an_error():
    truth = truth_of([], points=np.zeros((0, 15, 2)), num_frames=3)
    result = evaluate_poses(truth, predictions_of([], np.zeros((0, 15, 2))))['all']
    assert result.mean == 0


def test_average_precision_of_a_known_curve():
    """Ranked right, wrong, right of three true: 1/3 * 1 + 1/3 * 2/3."""
    ap = average_precision(np.array([0.9, 0.5, 0.7]), np.array([True, True, False]), 3)
    assert ap == pytest.approx(1 / 3 + 2 / 9)
