"""What is said at the end of a run about what was found, and when nothing is."""

import numpy as np
import pytest

from diffpose_mm.apis.run_hints import RunHints
from diffpose_mm.keypoint_sets import keypoint_set

NAMES = keypoint_set('coco17').keypoints


def person(upside_down=False, scores=0.9):
    """Joints from top to bottom, in the order of COCO."""
    y = np.arange(17.0)
    points = np.column_stack((np.zeros(17), -y if upside_down else y))
    return dict(keypoints=points.tolist(), keypoint_scores=np.full(17, scores).tolist())


def said(frames, names=NAMES):
    hints = RunHints(names)
    for people in frames:
        hints.add(people)
    return hints.lines()


def test_nothing_is_said_of_people_who_stand():
    """Broken if every run ended with advice."""
    assert said([[person(), person()]] * 10) == []


def test_a_video_without_people_says_what_to_try():
    """Broken if a run that found nobody ended like any other."""
    (line,) = said([[]] * 4)
    assert 'no person was found' in line and '--bbox-thr' in line and '--boxes' in line


def test_a_video_upside_down_is_noticed():
    """Broken if a phone's video that was turned over gave bad poses without a word."""
    (line,) = said([[person(upside_down=True)]] * 6 + [[person()]] * 2)
    assert line.startswith('6 of 8 people have their feet above')


@pytest.mark.parametrize(
    'frames',
    [
        [[person(upside_down=True)]] * 4 + [[person()]] * 6,  # a handstand
        [[person(upside_down=True)]] * 4,  # too few to tell
        [[person(upside_down=True, scores=0.1)]] * 9,  # joints that nobody saw
    ],
)
def test_a_handstand_is_none(frames):
    """Broken if a gymnast, or joints that are guesses, were taken for a turned camera."""
    assert said(frames) == []


def test_other_keypoints_are_not_judged():
    """Broken if a set without shoulders or ankles ended in an error."""
    assert said([[dict(keypoints=[[0, 0]], keypoint_scores=[1.0])]] * 9, ['tail']) == []
