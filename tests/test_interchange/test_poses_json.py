import json

import numpy as np
import pytest
from interchange_cases import assert_same, clip, person, two_people, write_clip

from diffpose_mm.apis import sink
from diffpose_mm.interchange import NO_TRACK, poses_json, read_poses_json, write_poses_json
from diffpose_mm.report import predictions, read_predictions

TWO = [[10.5, 20], [30, 40]]


def test_round_trip(tmp_path):
    """Broken if anything that the JSON holds were lost on the way through the table."""
    table = two_people(frame_sizes={4: (640, 480)}, faults={7: 'cannot be read'})
    write_poses_json(table, tmp_path / 'walk.json')
    found = read_poses_json(tmp_path / 'walk.json')
    assert_same(found, table)
    assert found.frame_sizes == {4: (640, 480)} and found.faults == {7: 'cannot be read'}
    assert found.input == {'name': 'walk.mp4'}


def test_what_is_written_is_what_inference_writes(tmp_path):
    """Broken if the page, which has a reader of its own, could not show what was converted."""
    table = two_people()
    write_poses_json(table, tmp_path / 'walk.json')
    other = read_predictions(tmp_path / 'walk.json')
    assert other.tracks.tolist() == table.track.tolist()
    np.testing.assert_allclose(other.points, np.nan_to_num(table.points), atol=1e-4)
    np.testing.assert_allclose(other.times, table.times)
    assert other.absent == ['left_ear', 'right_ear'] and other.fps == 25


def test_number_of_the_format_is_one():
    """Broken if one of three parts were changed to another format and the others not."""
    assert poses_json.FORMAT == sink.FORMAT == predictions.FORMAT


def test_missing_joint_is_not_at_the_corner(tmp_path):
    """Broken if a joint that is not there pulled trajectories to (0, 0)."""
    people = [[person([[0, 0], [3, 4]], [0, 0.5])], [person([[0, 0], [3, float('nan')]], [0.4, 1])]]
    table = read_poses_json(write_clip(tmp_path / 'a.json', clip(people)))
    assert table.present.tolist() == [[False, True], [True, False]]
    absent = clip([[person(TWO, [0.9, 0.9])]], absent=['nose'])
    assert read_poses_json(write_clip(tmp_path / 'b.json', absent)).present.tolist() == [[False, 1]]


def test_log_of_a_broken_run(tmp_path):
    """Broken if a kill lost the frames before it, or the half line behind them were an error."""
    frames = clip([[person(TWO, [1, 1])], [], [person(TWO, [1, 1])]])
    header = {name: frames[0].pop(name) for name in ('run', 'meta')}
    lines = [json.dumps(entry) + '\n' for entry in (header, *frames)]
    path = tmp_path / 'walk.jsonl'
    path.write_text(''.join(lines) + lines[1][:20])
    table = read_poses_json(path)
    assert table.frames.tolist() == [0, 1, 2] and table.frame.tolist() == [0, 2]
    path.write_text(''.join([lines[0], '{"frame_id": \n', *lines[2:]]))
    with pytest.raises(ValueError, match=r'walk.jsonl: line 2 is not JSON'):
        read_poses_json(path)
    path.write_text(lines[1])
    with pytest.raises(ValueError, match='first line of a log has to hold run and meta'):
        read_poses_json(path)


def test_cut_short(tmp_path):
    """Broken if half a file were read as all of it."""
    path = write_clip(tmp_path / 'walk.json', clip([[person(TWO, [1, 1])]] * 3))
    path.write_text(path.read_text()[:-30])
    with pytest.raises(ValueError, match=r'walk.json: is not JSON, or was cut short.*\.jsonl'):
        read_poses_json(path)


def broken(**changes):
    frames = clip([[person(TWO, [1, 1])], [person(TWO, [1, 1])]])
    for name, value in changes.items():
        if name in frames[1]:
            frames[1][name] = value
        elif name in frames[0]['meta']:
            frames[0]['meta'][name] = value
        else:
            frames[1]['instances'][0][name] = value
    return frames


@pytest.mark.parametrize(
    'frames, words',
    [
        (broken(format='diffpose_mm predictions 1'), "'diffpose_mm predictions 1'.*with infer"),
        (broken(time=-1.0), 'time -1 of frame 1 comes after time 0'),
        (broken(time='soon'), "time of frame 1 is 'soon'"),
        (broken(frame_id=0), 'frame 0 comes after frame 0'),
        (broken(frame_id=True), 'entry 1 has frame_id True'),
        (broken(keypoint_scores=[1]), r'frame 1, person 0: keypoint_scores have the shape \(1,\)'),
        (broken(track_id='anna'), "frame 1, person 0: track_id is 'anna'"),
        (broken(bbox=[[1, 2]]), 'frame 1, person 0: box has 2 numbers, not 4'),
        (broken(keypoints=['nose', 'nose']), 'keypoints: nose come twice'),
        (broken(instances=None), 'entry 1 is no frame with a list of instances'),
        ([[1, 2]], 'is not a list of frames'),
        ({'annotations': []}, 'is not a list of frames'),
        ([], 'holds no frame'),
        (
            clip([[]], image_size=[0, 4]),
            r'meta.image_size is \[0, 4\], not width and height above 0',
        ),
        (clip([[]], skeleton=[[0, 2]]), r'skeleton: \[0, 2\] is no pair of places'),
        ([dict(image_id=1, keypoints=[])], 'holds COCO results: give --from coco-results'),
    ],
)
def test_bad_files_are_named(tmp_path, frames, words):
    """Broken if a user had to guess which value of which file is wrong."""
    path = write_clip(tmp_path / 'walk.json', frames)
    with pytest.raises(ValueError, match=words) as error:
        read_poses_json(path)
    assert str(error.value).startswith(f'{path}: ')


def test_mmpose_says_no_names(tmp_path):
    """Broken if mmpose's own file were read with made-up names, or not at all."""
    entries = [
        dict(frame_id=0, instances=[dict(keypoints=[[1, 2]] * 17, keypoint_scores=[0.5] * 17)])
    ]
    path = write_clip(tmp_path / 'a.json', dict(meta_info={}, instance_info=entries))
    with pytest.raises(ValueError, match='--keypoints coco17 or posetrack17'):
        read_poses_json(path)
    table = read_poses_json(path, 'coco17')
    assert table.keypoints[1] == 'left_eye' and table.track.tolist() == [NO_TRACK]


def test_the_demo_of_mmpose_counts_from_one(tmp_path):
    """Broken if every pose were drawn a frame late."""
    person = dict(keypoints=[[1, 2]] * 17, keypoint_scores=[0.5] * 17)
    entries = [dict(frame_id=number, instances=[person]) for number in (1, 2, 4)]
    path = write_clip(tmp_path / 'a.json', dict(meta_info={}, instance_info=entries))
    assert read_poses_json(path, 'coco17').frames.tolist() == [0, 1, 3]


def test_hypotheses_are_said_to_be_left_out(tmp_path):
    """Broken if samples disappeared from a file without a word."""
    frames = clip([[person(TWO, [1, 1], hypotheses=[TWO, TWO], hypothesis_scores=[[1, 1]] * 2)]])
    assert read_poses_json(write_clip(tmp_path / 'a.json', frames)).left_out == ('hypotheses',)
