"""Which moments a page sends its reader to."""

import numpy as np
import report_cases as cases

from diffpose_mm.report.moments import filled_times, gaps, least_certain
from diffpose_mm.report.predictions import read_predictions


def read(tmp_path, people, **more):
    return read_predictions(cases.write(tmp_path / 'a.json', cases.entries(people, **more)))


def test_the_least_certain_come_first_and_apart(tmp_path):
    """Broken if the links led to sure poses, or all to neighbouring frames."""
    scores = np.full(100, 0.9)
    scores[[20, 21, 60]] = 0.3, 0.2, 0.5
    found = read(tmp_path, [[cases.person(0, score=score)] for score in scores])
    moments = least_certain(found, count=3)
    assert [moment.place for moment in moments[:2]] == [21, 60]
    assert moments[0].reason == f'confidence {0.2 * 2.5 / 3:.2f}'
    places = [moment.place for moment in moments]
    assert min(abs(a - b) for a in places for b in places if a != b) >= 10


def test_spread_counts_over_the_size_of_the_person(tmp_path):
    """Broken if people near the camera were always the least certain ones."""
    near = cases.person(0, spread=3.0)
    near['bbox'] = [[0.0, 0.0, 600.0, 600.0]]
    found = read(tmp_path, [[near, cases.person(1, spread=1.0)]])
    (moment,) = least_certain(found, count=1)
    assert moment.track == 1 and moment.reason == f'spread {np.sqrt(5):.1f} px, box 60 px'


def test_absent_joints_do_not_count(tmp_path):
    """Broken if a joint that the model does not have made everybody uncertain."""
    pose = cases.person(0, score=0.8)
    pose['keypoint_scores'][2] = 0.0
    found = read(tmp_path, [[pose]], absent=['right_wrist'])
    assert least_certain(found)[0].reason == 'confidence 0.80'


def test_nobody_has_no_moments(tmp_path):
    """Broken if a video without people had no page."""
    assert least_certain(read(tmp_path, [[], []])) == []


def test_gaps_are_stretches_with_their_reason(tmp_path):
    """Broken if damage and empty frames could not be told apart."""
    frames = cases.entries([[cases.person(0)], [], [], [], [cases.person(0)]])
    frames[3]['fault'] = 'damaged'
    found = read_predictions(cases.write(tmp_path / 'a.json', frames))
    assert gaps(found) == [(1, 2, 'nobody'), (3, 3, 'damaged')]


def test_times_that_are_missing_lie_between_their_neighbours(tmp_path):
    """Broken if the cursor jumped where a frame has no time."""
    frames = cases.entries([[]] * 6)
    for number, time in enumerate([None, 1.0, None, 2.0, None, None]):
        frames[number]['time'] = time
    found = read_predictions(cases.write(tmp_path / 'a.json', frames))
    np.testing.assert_allclose(filled_times(found), [0.9, 1.0, 1.5, 2.0, 2.1, 2.2])
    for frame in frames:
        frame['time'] = None
    found = read_predictions(cases.write(tmp_path / 'a.json', frames))
    np.testing.assert_allclose(filled_times(found), np.arange(6) / 10)
