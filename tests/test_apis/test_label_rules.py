import numpy as np
import pytest

from diffpose_mm.apis.label_rules import Label, LabelRules, judge, jumping

RULES = LabelRules(
    min_joint_score=0.3, min_joints=4, min_person_score=0.5, min_height=48, max_jump=0.1
)


def label(frame=0, track=0, shift=0.0, score=0.9, height=100, joints=6):
    keypoints = np.stack((np.arange(joints) * 10 + shift, np.arange(joints) * 15), 1).astype(float)
    box = np.array([shift, 0, shift + 50, height], float)
    return Label(frame, track, box, keypoints, np.full(joints, score))


def test_sure_people_are_kept_and_unsure_joints_are_left_out():
    labels = [label(t, shift=2 * t) for t in range(3)]
    labels[1].scores[2] = 0.1
    counts = judge(labels, RULES)
    assert all(x.reason is None for x in labels)
    assert labels[1].labelled.tolist() == [True, True, False, True, True, True]
    assert counts == {'joints unsure': 1, 'joints that jump': 0}


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        (dict(height=40), 'too small'),
        (dict(joints=3), 'with too few sure joints'),
        (dict(score=0.4), 'that the teacher is unsure of'),
    ],
)
def test_people_are_left_out_and_counted_by_reason(changes, reason):
    labels = [label(), label(frame=1, **changes)]
    counts = judge(labels, RULES)
    assert [x.reason for x in labels] == [None, reason]
    assert counts[f'people {reason}'] == 1


def test_a_joint_that_jumps_for_a_frame_is_left_out_there_alone():
    """Broken if a steady walk counted as a jump, or the frames around it lost the joint too."""
    labels = [label(t, shift=9.0 * t) for t in range(5)]
    labels[2].keypoints[3] += (0, 40)
    jumps = jumping(labels, 0.25)
    assert [jump.tolist() for jump in jumps] == [
        [i == 3 and t == 2 for i in range(6)] for t in range(5)
    ]
    # A jump by 40 moves the middle of its neighbours by 20: of a size of 100, 0.2.
    assert jumping(labels, 0.15)[1][3]


def test_jumps_go_by_frame_number_and_track():
    """Broken if two people were compared, or frames with a gap between them."""
    labels = [label(0, 0), label(1, 1, shift=500), label(2, 0), label(5, 0, shift=300)]
    assert not any(jump.any() for jump in jumping(labels, 0.01))
    untracked = [label(t, None, shift=100 * (t == 1)) for t in range(3)]
    assert not any(jump.any() for jump in jumping(untracked, 0.01))


def test_joints_without_a_place_have_no_label():
    person = label()
    person.keypoints[0] = np.nan
    judge([person], RULES)
    assert person.labelled.tolist() == [False] + 5 * [True]


@pytest.mark.parametrize(
    'changes',
    [
        dict(min_joint_score=1.2),
        dict(min_person_score=-1),
        dict(min_joints=0),
        dict(min_height=-1),
        dict(max_jump=float('nan')),
    ],
)
def test_rules_that_mean_nothing_are_refused(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=name):
        LabelRules(**changes)
