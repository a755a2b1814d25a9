"""PoseTrack's average precision of multi-person poses in single frames, in plain numpy.

This is the measure of the paper's tables on PoseTrack: the protocol of the official ``poseval``
(https://github.com/leonid-pishchulin/poseval), stated here as rules and computed on flat arrays
instead of frame by frame and joint by joint. It knows no model, no file and no framework.

The rules, each as ``poseval`` applies it:

1. A frame counts if it has at least one annotated person, with or without keypoints. Predictions
   in any other frame are left out; they are not false positives.
2. Joints, true or predicted, strictly inside an ignore region are deleted. A point on the border
   of a region stays.
3. A predicted joint is correct with respect to a true one if they are at most 0.5 head sizes
   apart; the head size is 0.6 times the diagonal of the person's head box.
4. A pair of predicted and true pose is worth the number of correct joints over the number of the
   true person's joints. Each predicted pose proposes to the true person where this is highest
   (the first one on a tie); each true person accepts the best proposal (the first one on a tie)
   if it is above zero. There is no second round: a pose that was refused stays unassigned.
5. For each joint the predictions of all frames are ranked by their keypoint score. Those that are
   correct for the person their pose is assigned to are true positives, all others are false
   positives. Average precision is the area under the interpolated precision-recall curve.
6. A joint that nobody predicted has AP 0; one that was predicted but is never annotated has no AP
   (NaN) and is left out of the mean. The mean runs over the 15 joints; a group is the mean of its
   joints, NaN if one of them is.

A person without a head box, or with an empty one, counts as ground truth that nothing can match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from diffpose_mm.posetrack.keypoints import JOINTS

from .polygons import points_in_regions

GROUPS = {
    'Head': ('head_top', 'head_bottom', 'nose'),
    'Shou': ('right_shoulder', 'left_shoulder'),
    'Elb': ('right_elbow', 'left_elbow'),
    'Wri': ('right_wrist', 'left_wrist'),
    'Hip': ('right_hip', 'left_hip'),
    'Knee': ('right_knee', 'left_knee'),
    'Ankl': ('right_ankle', 'left_ankle'),
}
"""The seven groups of joints that PoseTrack's tables show."""

DISTANCE_THRESHOLD = 0.5
HEAD_SIZE_FACTOR = 0.6

# Pairs worked on at once: few enough to stay in the processor's cache.
_CHUNK = 20_000


@dataclass
class TruePoses:
    """Annotated persons of F frames as flat arrays, P persons.

    Attributes:
        frame: (P,) int, index of the person's frame, non-decreasing.
        points: (P, 15, 2) float64, joints in image pixels, order of :data:`JOINTS`.
        present: (P, 15) bool, whether the joint is annotated.
        head_size: (P,) float64, 0.6 times the head box's diagonal in image pixels; 0 for a person
            without a head box.
        ignore_regions: F lists of (M, 2) float64 polygons in image pixels.
        flags: name of a kind of joint (``'occluded'``, ``'blurred'``) -> (P, 15) bool.
        track_id: (P,) int, the same number in all frames of a video, -1 where there is none;
            AP does not need it.
    """

    frame: np.ndarray
    points: np.ndarray
    present: np.ndarray
    head_size: np.ndarray
    ignore_regions: Sequence[Sequence[np.ndarray]]
    flags: dict[str, np.ndarray] = field(default_factory=dict)
    track_id: np.ndarray | None = None

    @property
    def num_frames(self) -> int:
        """Number of frames F, annotated or not."""
        return len(self.ignore_regions)


@dataclass
class PredictedPoses:
    """Predicted poses of the same frames as flat arrays, D poses.

    The order of the poses of one frame decides between equal values, as it does in ``poseval``.

    Attributes:
        frame: (D,) int, index of the pose's frame, non-decreasing.
        points: (D, 15, 2) float64, joints in image pixels, order of :data:`JOINTS`.
        present: (D, 15) bool, whether the joint is predicted.
        scores: (D, 15) float64, confidence of each joint.
        track_id: (D,) int, as in :class:`TruePoses`.
    """

    frame: np.ndarray
    points: np.ndarray
    present: np.ndarray
    scores: np.ndarray
    track_id: np.ndarray | None = None


@dataclass
class JointAP:
    """Average precision of each joint, in percent.

    Attributes:
        ap: (15,) float64 in [0, 100], NaN where a joint has predictions but no ground truth.
        num_true: (15,) int, number of true joints.
    """

    ap: np.ndarray
    num_true: np.ndarray

    @property
    def mean(self) -> float:
        """Mean over the joints that have an AP, NaN if none has."""
        defined = self.ap[~np.isnan(self.ap)]
        return float(defined.mean()) if len(defined) else float('nan')

    @property
    def groups(self) -> dict[str, float]:
        """AP of each of the seven groups, NaN where one of its joints has none."""
        return group_means(self.ap)


def group_means(values: np.ndarray) -> dict[str, float]:
    """Mean of (15,) values over each of the seven groups, NaN where one of its joints is."""
    return {
        name: float(values[[JOINTS.index(joint) for joint in joints]].mean())
        for name, joints in GROUPS.items()
    }


def head_size(boxes: np.ndarray) -> np.ndarray:
    """Reference length of persons.

    Args:
        boxes: (P, 4) head boxes x, y, width, height in image pixels.

    Returns:
        (P,) float64, 0.6 times the diagonal.
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    # The protocol keeps boxes as corners; going through them keeps its rounding as well.
    corner = boxes[:, :2] + boxes[:, 2:]
    return HEAD_SIZE_FACTOR * np.linalg.norm(corner - boxes[:, :2], axis=1)


def evaluate_poses(true: TruePoses, predicted: PredictedPoses) -> dict[str, JointAP]:
    """Average precision of predicted poses, over all joints and over the hard ones.

    The entry ``'all'`` is the official result. If ``true.flags`` is not empty there is one more
    entry for each flag and one, ``'clear'``, for the joints that carry none of them. For these the
    assignment of poses to persons is that of the full evaluation; then, for a joint of a kind K:

    - a true joint that is not of kind K is not ground truth;
    - a predicted joint whose pose is assigned to a person in whom that joint is annotated and is
      not of kind K is dropped, whether it was right or wrong;
    - every other predicted joint keeps its label. So joints of unassigned poses, and predictions
      of joints that are not annotated, remain false positives: they belong to no kind.

    A joint without ground truth of kind K has no AP (NaN) and is left out of the mean.

    Args:
        true: the annotated persons.
        predicted: the predicted poses.

    Returns:
        ``{'all': ..., 'occluded': ..., 'blurred': ..., 'clear': ...}``, the latter three only as
        far as flags exist.
    """
    true, predicted = drop_uncounted(true, predicted)
    person, correct = assign_poses(true, predicted)

    results = {'all': _joint_ap(predicted, predicted.present, correct, true.present.sum(axis=0))}
    if true.flags:
        kinds = dict(true.flags)
        kinds['clear'] = ~np.logical_or.reduce(list(true.flags.values()))
        for name, kind in kinds.items():
            other = np.zeros_like(predicted.present)
            assigned = person >= 0
            other[assigned] = (true.present & ~kind)[person[assigned]]
            result = _joint_ap(
                predicted, predicted.present & ~other, correct, (true.present & kind).sum(axis=0)
            )
            result.ap[result.num_true == 0] = np.nan
            results[name] = result
    return results


def assign_poses(true: TruePoses, predicted: PredictedPoses) -> tuple[np.ndarray, np.ndarray]:
    """Assign predicted poses to true persons (rules 3 and 4).

    Args:
        true: P annotated persons.
        predicted: D predicted poses.

    Returns:
        tuple: (D,) int, index of the person that each pose is assigned to or -1; (D, 15) bool,
        whether each predicted joint is correct for that person.
    """
    person = np.full(len(predicted.frame), -1, dtype=np.int64)
    num_joints = true.present.sum(axis=1)
    for pose, candidate in _pairs_in_frames(predicted.frame, true.frame, true.num_frames):
        hits = _is_correct(true, predicted, pose, candidate).sum(axis=1)
        worth = hits / np.maximum(num_joints[candidate], 1)

        starts = np.flatnonzero(np.r_[True, pose[1:] != pose[:-1]])
        highest = np.maximum.reduceat(worth, starts)
        is_highest = worth == np.repeat(highest, np.diff(np.r_[starts, len(pose)]))
        first = np.minimum.reduceat(np.where(is_highest, candidate, len(true.frame)), starts)

        proposes = highest > 0
        pose, proposed, highest = pose[starts][proposes], first[proposes], highest[proposes]
        order = np.lexsort((pose, -highest, proposed))
        pose, proposed = pose[order], proposed[order]
        accepted = np.r_[True, proposed[1:] != proposed[:-1]][: len(proposed)]
        person[pose[accepted]] = proposed[accepted]

    correct = np.zeros_like(predicted.present)
    assigned = np.flatnonzero(person >= 0)
    correct[assigned] = _is_correct(true, predicted, assigned, person[assigned])
    return person, correct


def average_precision(scores: np.ndarray, correct: np.ndarray, num_true: int) -> float:
    """Area under the interpolated precision-recall curve (rule 5).

    Args:
        scores: (n,) float64 confidences, in the order of frames and of poses in a frame.
        correct: (n,) bool, whether each prediction is a true positive.
        num_true: number of true joints.

    Returns:
        AP in [0, 1]; 0 without predictions, NaN with predictions but no true joint.
    """
    if len(scores) == 0:
        return 0.0
    if num_true == 0:
        return float('nan')
    # The official code sorts with numpy's default kind; the same call on the same array is what
    # keeps equal scores in the same order as there.
    ranked = correct[np.argsort(scores)[::-1]]
    hits = np.cumsum(ranked)
    recall = np.concatenate([[0.0], hits / num_true, [1.0]])
    precision = np.concatenate([[0.0], hits / np.arange(1, len(hits) + 1), [0.0]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    rises = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[rises] - recall[rises - 1]) * precision[rises]))


def drop_uncounted(true: TruePoses, predicted: PredictedPoses) -> tuple[TruePoses, PredictedPoses]:
    """Leave out predictions in unannotated frames and all joints in ignore regions (rules 1, 2)."""
    annotated = np.zeros(true.num_frames, dtype=bool)
    annotated[true.frame] = True
    keep = annotated[predicted.frame]
    predicted = PredictedPoses(
        predicted.frame[keep],
        predicted.points[keep],
        predicted.present[keep],
        predicted.scores[keep],
        None if predicted.track_id is None else predicted.track_id[keep],
    )
    if not any(len(regions) for regions in true.ignore_regions):
        return true, predicted

    row_true, joint_true = np.nonzero(true.present)
    row, joint = np.nonzero(predicted.present)
    frame = np.concatenate([true.frame[row_true], predicted.frame[row]])
    points = np.concatenate([true.points[row_true, joint_true], predicted.points[row, joint]])
    order = np.argsort(frame, kind='stable')
    ignored = np.empty(len(frame), dtype=bool)
    ignored[order] = points_in_regions(points[order], frame[order], true.ignore_regions)

    present_true, present = true.present.copy(), predicted.present.copy()
    present_true[row_true, joint_true] = ~ignored[: len(row_true)]
    present[row, joint] = ~ignored[len(row_true) :]
    return replace(true, present=present_true), replace(predicted, present=present)


def joint_distances(
    true: TruePoses, predicted: PredictedPoses, pose: np.ndarray, person: np.ndarray
) -> np.ndarray:
    """Distances between joints of n pairs of a predicted pose and a true person, in head sizes.

    Args:
        true: the annotated persons.
        predicted: the predicted poses.
        pose: (n,) int, index of the pose.
        person: (n,) int, index of the person.

    Returns:
        (n, 15) float64; infinite or NaN where the person has no head size. Whether a joint is
        annotated or predicted at all makes no difference.
    """
    offset = true.points[person]
    offset -= predicted.points[pose]
    offset *= offset
    distance = offset[..., 0] + offset[..., 1]
    np.sqrt(distance, out=distance)
    with np.errstate(divide='ignore', invalid='ignore'):
        distance /= true.head_size[person][:, None]
    return distance


def _is_correct(
    true: TruePoses, predicted: PredictedPoses, pose: np.ndarray, person: np.ndarray
) -> np.ndarray:
    """(n, 15) bool: correct joints of n pairs of a predicted pose and a true person."""
    near = joint_distances(true, predicted, pose, person) <= DISTANCE_THRESHOLD
    near &= true.present[person]
    near &= predicted.present[pose]
    return near


def _joint_ap(
    predicted: PredictedPoses, counted: np.ndarray, correct: np.ndarray, num_true: np.ndarray
) -> JointAP:
    ap = np.array(
        [
            100
            * average_precision(
                predicted.scores[counted[:, j], j], correct[counted[:, j], j], int(num_true[j])
            )
            for j in range(len(JOINTS))
        ]
    )
    return JointAP(ap=ap, num_true=num_true)


def _pairs_in_frames(frame_a: np.ndarray, frame_b: np.ndarray, num_frames: int):
    """Yield index arrays (a, b) of all pairs within a frame, sorted by a then b, in chunks."""
    count_a = np.bincount(frame_a, minlength=num_frames)
    count_b = np.bincount(frame_b, minlength=num_frames)
    start_a, start_b = np.cumsum(count_a) - count_a, np.cumsum(count_b) - count_b
    num_pairs = count_a * count_b
    for first, last in _chunks(num_pairs):
        pairs = num_pairs[first:last]
        frame = np.repeat(np.arange(first, last), pairs)
        within = np.arange(len(frame)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
        if len(frame):
            yield (
                start_a[frame] + within // count_b[frame],
                start_b[frame] + within % count_b[frame],
            )


def _chunks(work: np.ndarray):
    """Yield (first, last) ranges over items so that a range holds about ``_CHUNK`` of work."""
    ends = np.cumsum(work)
    first = 0
    while first < len(work):
        done = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + _CHUNK, side='right')))
        yield first, last
        first = last
