"""How long it will take, as it is told."""

import pytest

from diffpose_mm.archive.progress import Costs, ProgressLine, clock, seconds_left


def test_what_is_left_is_right_when_costs_are_steady():
    """Broken if finding and posing counted the same, or workers were not shared out."""
    costs = Costs()
    costs.add('find', 1000, 20.0)
    costs.add('pose', 500, 50.0)
    left = dict(find=4000, pose=4500, whole=0)
    assert seconds_left(costs, left, 2) == pytest.approx((4000 * 0.02 + 4500 * 0.1) / 2)
    # A pass that nobody has begun is guessed from the others.
    only = Costs()
    only.add('find', 100, 3.0)
    assert seconds_left(only, dict(pose=100), 1) == pytest.approx(7.0)
    assert seconds_left(Costs(), dict(find=1), 1) is None


def test_passes_under_way_count():
    """Broken if nothing were said before the first long stretch is done."""
    costs = Costs().with_running(dict(whole=(50, 10.0)))
    assert seconds_left(costs, dict(whole=100), 1) == pytest.approx(20.0)


def test_a_line_says_all_of_it_from_time_to_time():
    """Broken if a log were flooded, or a failure went by unseen."""
    said = []
    line = ProgressLine(said.append, interval=3600)
    line(1, 4, 100, 400, 90.0, 0)
    assert not said
    line = ProgressLine(said.append, interval=-1)
    line(1, 4, 100, 400, 90.0, 2)
    assert said == ['1 of 4 videos, 100 of 400 frames (25.0 %), 2 failed, 90 s left']
    assert [clock(s) for s in (48, 190, 720)] == ['48 s', '3.2 min', '12 min']
    assert clock(11100) == '3 h 05 min'
