"""Which poses of a teacher are taken for labels: numpy alone, a track at a time.

A teacher is wrong where it is unsure, and where it is sure of the wrong thing its answer jumps from
frame to frame. Both are left out, joint by joint, and counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class LabelRules:
    """What a label has to be like.

    Attributes:
        min_joint_score: Of a joint; others have no label.
        min_joints: So many joints with a label make a person.
        min_person_score: Mean score of a person's labelled joints.
        min_height: Of the box, in image pixels.
        max_jump: Distance of a joint from the middle between its places in the frames before and
            after, as a share of the person's size (the box's longer side).
        smooth: In seconds before and after; labels are steadied over them (see
            :mod:`diffpose_mm.apis.label_smoothing`). 0 leaves them as they are.
    """

    min_joint_score: float = 0.3
    min_joints: int = 8
    min_person_score: float = 0.45
    min_height: float = 48
    max_jump: float = 0.15
    smooth: float = 0.15

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: One is out of range; names it.
        """
        for name in ('min_joint_score', 'min_person_score'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name}={getattr(self, name)} has to be from 0 to 1')
        if self.min_joints < 1:
            raise ValueError(f'min_joints={self.min_joints} has to be at least 1')
        for name in ('min_height', 'max_jump', 'smooth'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name}={getattr(self, name)} cannot be negative')


@dataclass
class Label:
    """A person in a frame.

    Attributes:
        frame: Number of the frame in the video.
        track: Number of the person, or None.
        box: (4, ) x1, y1, x2, y2 in image pixels.
        keypoints: (K, 2) in image pixels.
        scores: (K, ) the teacher's, 0 to 1.
        labelled: (K, ) bool, the joints that are taken.
        reason: Why the person is left out, or None.
    """

    frame: int
    track: int | None
    box: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    labelled: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    reason: str | None = None

    @property
    def size(self) -> float:
        """The box's longer side, in image pixels."""
        return float((self.box[2:] - self.box[:2]).max())


def judge(labels: Sequence[Label], rules: LabelRules) -> Counter[str]:
    """Set ``labelled`` and ``reason`` of the people of a video.

    Returns:
        How many people and joints were left out, by reason.
    """
    counts: Counter[str] = Counter()
    jumps = jumping(labels, rules.max_jump)
    for label, jump in zip(labels, jumps):
        sure = label.scores >= rules.min_joint_score
        label.labelled = sure & ~jump & np.isfinite(label.keypoints).all(1)
        counts['joints unsure'] += int((~sure).sum())
        counts['joints that jump'] += int((sure & jump).sum())
        label.reason = _reason(label, rules)
        if label.reason is not None:
            counts[f'people {label.reason}'] += 1
    return counts


def _reason(label: Label, rules: LabelRules) -> str | None:
    if label.box[3] - label.box[1] < rules.min_height:
        return 'too small'
    if label.labelled.sum() < rules.min_joints:
        return 'with too few sure joints'
    if label.scores[label.labelled].mean() < rules.min_person_score:
        return 'that the teacher is unsure of'
    return None


def jumping(labels: Sequence[Label], max_jump: float) -> list[np.ndarray]:
    """Which joints are far from where the frames before and after say.

    Only a person who is there in both is judged.

    Args:
        labels: Of a video, in any order.
        max_jump: See :class:`LabelRules`.

    Returns:
        (K, ) bool for each.
    """
    places: dict[tuple[int | None, int], Label] = {
        (x.track, x.frame): x for x in labels if x.track is not None
    }
    found = []
    for label in labels:
        before = places.get((label.track, label.frame - 1))
        after = places.get((label.track, label.frame + 1))
        if before is None or after is None:
            found.append(np.zeros(len(label.scores), bool))
            continue
        middle = (before.keypoints + after.keypoints) / 2
        away = np.linalg.norm(label.keypoints - middle, axis=1)
        found.append(away > max_jump * max(label.size, 1e-9))
    return found
