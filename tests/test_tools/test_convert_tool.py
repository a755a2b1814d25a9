import json

import numpy as np
import pytest

from diffpose_mm.interchange import TableBuilder, read_poses, write_poses_json
from diffpose_mm.keypoint_sets import keypoint_set
from diffpose_mm.tools import convert


@pytest.fixture
def poses(tmp_path):
    names = keypoint_set('posetrack17').keypoints
    builder = TableBuilder(names)
    for frame in range(3):
        builder.add_frame(frame, frame / 10)
        builder.add_pose(np.arange(34).reshape(17, 2) + frame + 1, np.full(17, 0.5), 4)
    path = tmp_path / 'walk.json'
    write_poses_json(builder.table(fps=10.0, image_size=(64, 48)), path)
    return path


def test_convert_and_back(poses, tmp_path, capsys):
    """Broken if the tool lost on the way what both formats hold."""
    out = tmp_path / 'out'
    written = convert.main([str(poses), '--to', 'coco', 'csv', '--out', str(out)])
    assert written == [str(out / 'walk_coco'), str(out / 'walk.csv')]
    (back,) = convert.main([str(out / 'walk.csv'), '--to', 'json', '--fps', '10'])
    assert back == str(out / 'walk.json')
    a, b = read_poses(poses), read_poses(back)
    np.testing.assert_allclose(a.points, b.points)
    assert a.track.tolist() == b.track.tolist() and a.fps == b.fps
    shown = capsys.readouterr().out
    assert f'{poses}: 3 frames, 3 poses of 1 person' in shown
    assert f'written: {out / "walk_coco"}' in shown


def test_set_of_keypoints(poses):
    """Broken if a reader of COCO could not be given COCO's joints."""
    (path,) = convert.main([str(poses), '--to', 'coco', '--to-keypoints', 'coco17'])
    dataset = json.loads(open(path + '/dataset.json').read())
    assert dataset['categories'][0]['keypoints'] == list(keypoint_set('coco17').keypoints)


def test_poses_are_not_written_over(poses):
    """Broken if --to json beside the input replaced it."""
    before = poses.read_bytes()
    with pytest.raises(SystemExit, match='would be written over the input'):
        convert.main([str(poses), '--to', 'json'])
    assert poses.read_bytes() == before


@pytest.mark.parametrize(
    'more, words',
    [
        (['--to', 'trc'], 'invalid choice'),
        (['--to', 'csv', '--fps', '0'], 'must be positive'),
        (['--to', 'csv', '--image-size', '0', '4'], 'must be positive'),
        ([], '--to'),
    ],
)
def test_arguments_out_of_range_are_refused(more, words, capsys):
    """Broken if they were found out after a long file was read."""
    with pytest.raises(SystemExit):
        convert.parse_args(['a.json', *more])
    assert words in capsys.readouterr().err


def test_faults_are_one_line(tmp_path):
    """Broken if a file cut short were a traceback."""
    (tmp_path / 'walk.json').write_text('[{"frame_id": 0,')
    with pytest.raises(SystemExit, match=r'^error: .*walk.json: is not JSON, or was cut short'):
        convert.main([str(tmp_path / 'walk.json'), '--to', 'csv'])


@pytest.fixture
def trembling(tmp_path):
    """A table of DeepLabCut: an animal that trembles and goes right; missing in frame 11."""
    rng = np.random.default_rng(0)
    lines = ['scorer,net,net,net,net,net,net', 'bodyparts,nose,nose,nose,paw,paw,paw']
    lines.append('coords,x,y,likelihood,x,y,likelihood')
    for frame in range(30):
        places = np.array([[100, 50], [300, 350]]) + [5 * frame, 0] + rng.normal(0, 2, (2, 2))
        (a, b), (c, d) = places.tolist()
        own = f'{a},{b},0.9,{c},{d},0.8' if frame != 11 else ',,,,,'
        lines.append(f'{frame},{own}')
    path = tmp_path / 'walk.csv'
    path.write_text('\n'.join(lines) + '\n')
    return path


def jerk(table):
    return float(np.abs(np.diff(table.points[:, 0, 0], 3)).mean())


def test_poses_of_others_are_smoothed(trembling, capsys):
    """Broken if only those who pose with this package could have steady poses."""
    (path,) = convert.main([str(trembling), '--to', 'json', '--smooth', 'rts', '--fps', '25'])
    assert path.endswith('walk_smooth.json')
    raw, smooth = read_poses(trembling), read_poses(path)
    assert jerk(smooth) < 0.8 * jerk(raw)
    assert smooth.frame.tolist() == list(range(30)) and 11 not in raw.frame  # bridged
    assert '2 joints filled in gaps' in capsys.readouterr().out
    assert smooth.scores[0].tolist() == [0.9, 0.8]
    with pytest.raises(SystemExit, match='walk_smooth.json: these poses are smoothed already'):
        convert.main([path, '--to', 'csv', '--smooth', 'rts'])


def test_poses_without_scores_are_smoothed(trembling, tmp_path):
    """Broken if joints without a score counted as not found, or got a score that nobody gave."""
    rows = ['frame_id,track_id,keypoint,x,y']
    table = read_poses(trembling)
    for frame, points in zip(table.frame.tolist(), table.points.tolist()):
        rows += [f'{frame},0,{n},{x},{y}' for n, (x, y) in zip(('nose', 'paw'), points)]
    path = tmp_path / 'long.csv'
    path.write_text('\n'.join(rows) + '\n')
    (out,) = convert.main([str(path), '--to', 'csv', '--smooth', 'rts', '--fps', '25'])
    smooth = read_poses(out)
    assert jerk(smooth) < 0.8 * jerk(table) and np.isnan(smooth.scores).all()


def test_convert_tells_what_it_is_at(poses, tmp_path, monkeypatch):
    """Broken if reading, smoothing or a format were left out of what is shown."""
    shown = []
    real = convert.stage

    def stage(name):
        shown.append(name)
        return real(name)

    monkeypatch.setattr(convert, 'stage', stage)
    convert.main([str(poses), '--to', 'csv', 'mot', '--out', str(tmp_path / 'out')])
    assert shown == [f'reading {poses}', 'writing csv', 'writing mot']
