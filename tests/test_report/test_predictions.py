"""Reading predictions: what inference writes, what others write, and what is wrong with a file."""

import json

import numpy as np
import pytest
import report_cases as cases

from diffpose_mm.apis import sink
from diffpose_mm.report import predictions
from diffpose_mm.report.predictions import read_predictions


def test_the_format_is_that_of_inference():
    """Broken if inference moved on to another format and pages could not be made any more."""
    assert predictions.FORMAT == sink.FORMAT


def test_a_file_is_read_as_it_was_written(tmp_path):
    """Broken if poses came to other frames or people than those that they are of."""
    first, second = cases.person(4, spread=1.0, hypotheses=2), cases.person(7, 3.0, spread=2.0)
    second['hypotheses'] = first['hypotheses']
    people = [[first, second], [], [cases.person(7, 5.0, spread=0.5, hypotheses=2)]]
    found = read_predictions(cases.write(tmp_path / 'a.json', cases.entries(people)))
    assert found.keypoints == cases.NAMES and found.size == (120, 90)
    assert found.starts.tolist() == [0, 2, 2, 3]
    assert found.tracks.tolist() == [4, 7, 7]
    np.testing.assert_allclose(found.times, [0, 0.1, 0.2])
    np.testing.assert_allclose(found.points[1], second['keypoints'])
    np.testing.assert_allclose(found.deviations[1], [[2, 4]] * 3)
    np.testing.assert_allclose(found.hypotheses[2], people[2][0]['hypotheses'])
    np.testing.assert_allclose(found.boxes[0], [5, 10, 55, 70])
    assert found.is_tracked and found.input == dict(name='walk.mp4')


def test_a_log_that_a_kill_has_cut_short_is_read_up_to_there(tmp_path):
    """Broken if an interrupted run could not be looked at."""
    frames = cases.entries([[cases.person(0)], [cases.person(0)], [cases.person(0)]])
    header = dict(meta=frames[0].pop('meta'), run=frames[0].pop('run'))
    lines = [json.dumps(entry) + '\n' for entry in (header, *frames)]
    path = tmp_path / 'a.jsonl'
    path.write_text(''.join(lines)[:-20])
    found = read_predictions(path)
    assert len(found) == 2 and 'interrupted' in found.notes[0]


def test_a_file_of_mmpose_needs_the_name_of_its_keypoints(tmp_path):
    """Broken if MMPose's own predictions were refused, or their joints guessed."""
    pose = dict(keypoints=[[float(k), 2.0 * k] for k in range(17)], keypoint_scores=[0.5] * 17)
    path = tmp_path / 'a.json'
    path.write_text(json.dumps([dict(frame_id=i, instances=[pose, pose]) for i in range(2)]))
    with pytest.raises(ValueError, match=r'a\.json: it has no meta.*--keypoints'):
        read_predictions(path)
    found = read_predictions(path, 'coco17')
    assert found.keypoints[1] == 'left_eye' and not found.is_tracked
    assert found.tracks.tolist() == [0, 1, 0, 1] and np.isnan(found.times).all()
    np.testing.assert_allclose(found.boxes[0], [0, 0, 16, 32])


def test_frames_that_are_missing_are_gaps(tmp_path):
    """Broken if the poses after a jump came to earlier pictures."""
    frames = cases.entries([[cases.person(0)]] * 3)
    frames[2].update(frame_id=5, time=0.5)
    frames[1]['fault'] = 'damaged'
    found = read_predictions(cases.write(tmp_path / 'a.json', frames))
    assert found.frames.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.starts.tolist() == [0, 1, 2, 2, 2, 2, 3]
    assert found.faults[1] == 'damaged' and 'not in the predictions' in found.faults[4]


def test_joints_that_are_no_numbers_are_absent(tmp_path):
    """Broken if one NaN, as other tools write it, made a page that shows nothing."""
    pose = cases.person(0)
    pose['keypoints'][1] = [float('nan'), 3.0]
    found = read_predictions(cases.write(tmp_path / 'a.json', cases.entries([[pose]])))
    assert found.points[0, 1].tolist() == [0, 0] and found.scores[0, 1] == 0
    assert found.scores[0, 0] > 0


def test_a_frame_of_another_size_is_fitted_into_the_first(tmp_path):
    """Broken if poses lay beside people after a stream has changed its size."""
    frames = cases.entries([[cases.person(0)], [cases.person(0)]])
    frames[1]['image_size'] = [240, 180]
    found = read_predictions(cases.write(tmp_path / 'a.json', frames))
    np.testing.assert_allclose(found.points[1], found.points[0] / 2)


def test_what_only_some_have_is_left_out_and_said(tmp_path):
    """Broken if hypotheses of one run were shown with poses of another."""
    people = [[cases.person(0, hypotheses=2)], [cases.person(0, hypotheses=3)]]
    found = read_predictions(cases.write(tmp_path / 'a.json', cases.entries(people)))
    assert found.hypotheses is None and 'hypotheses are not shown' in found.notes[0]


def broken(change):
    frames = cases.entries([[cases.person(0)], [cases.person(0)]])
    change(frames)
    return frames


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda f: f[0]['meta'].update(format='diffpose_mm predictions 1'), 'predictions 1'),
        (lambda f: f[0]['meta'].update(skeleton=[[0, 3]]), 'meta.skeleton'),
        (lambda f: f[0]['meta'].pop('keypoints'), 'no usable keypoints'),
        (lambda f: f[1].update(time=-0.1), r'frame 1 has time -0.1 s'),
        (lambda f: f[1].update(frame_id=0), 'frame_id 0 cannot come'),
        (lambda f: f[1].update(frame_id=10**9), 'frame_id 1000000000 cannot come'),
        (lambda f: f[1].update(frame_id='1'), "frame_id '1', not a number"),
        (lambda f: f[1].pop('instances'), 'entry 1 is no frame'),
        (lambda f: f[1]['instances'][0].pop('keypoints'), 'person 0 of frame 1'),
        (lambda f: f[1]['instances'][0]['keypoint_scores'].pop(), 'person 0 of frame 1'),
        (lambda f: f[1]['instances'].append(3), 'person 1 of frame 1'),
    ],
)
def test_a_damaged_file_is_named_with_frame_and_field(tmp_path, change, message):
    """Broken if a user had to find out alone what is wrong with a file."""
    path = cases.write(tmp_path / 'a.json', broken(change))
    with pytest.raises(ValueError, match=message) as error:
        read_predictions(path)
    assert 'a.json' in str(error.value)


@pytest.mark.parametrize(
    'text, message',
    [
        ('', 'is not JSON'),
        ('{"a": 1}', 'is not a list of frames'),
        ('[]', 'holds no frame'),
        ('[\n{"frame_id": 0', 'line 2 is not JSON'),
    ],
)
def test_what_is_no_file_of_predictions_is_refused(tmp_path, text, message):
    """Broken if any other file ended in a traceback."""
    path = tmp_path / 'a.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=rf'a\.json: .*{message}'):
        read_predictions(path)


def test_a_file_that_ends_between_two_frames_is_noticed(tmp_path):
    """Broken if a copy that was cut short at the end of a line passed for a whole one."""
    path = cases.write(tmp_path / 'a.json', cases.entries([[cases.person(0)]] * 3))
    path.write_text(path.read_text().rsplit(',\n', 1)[0] + ',\n')
    with pytest.raises(ValueError, match='was cut short'):
        read_predictions(path)


def test_smoothed_poses_are_said_to_be(tmp_path):
    """Broken if a page showed other poses than the video beside it, without a word."""
    frames = cases.entries([[cases.person(0)], [cases.person(0)]])
    assert not read_predictions(cases.write(tmp_path / 'raw.json', frames)).notes
    frames[0]['run']['smoothing'] = dict(method='rts')
    (note,) = read_predictions(cases.write(tmp_path / 'smooth.json', frames)).notes
    assert 'smoothed over time (rts)' in note
