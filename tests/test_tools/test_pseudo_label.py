"""``pseudo_label`` from end to end, with a teacher of random weights."""

import json

import cv2
import numpy as np
import pytest

from diffpose_mm.tools import pseudo_label


def write_video(path, frames=6):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (120, 90))
    for number in range(frames):
        writer.write(np.roll(picture, 3 * number, axis=1))
    writer.release()
    return str(path)


@pytest.fixture
def teacher(tmp_path):
    """A small heatmap model of one frame."""
    config = tmp_path / 'teacher.py'
    base = pseudo_label.__file__.replace('diffpose_mm/tools/pseudo_label.py', '')
    config.write_text(
        f'_base_ = [{base + "configs/heatmap_synthetic.py"!r}]\n'
        'model = dict(backbone=dict(stem_channels=8, base_channels=8), neck=dict(in_channels=32,\n'
        '    out_channels=32, embed_dims=16, num_layers=1),\n'
        '    head=dict(in_channels=32, deconv_out_channels=(8, 8)))\n'
    )
    return str(config)


def command(teacher, out, *videos, **options):
    arguments = [*videos, '--out', str(out), '--teacher', teacher, '--det-model', 'whole_image']
    # Random weights are sure of nothing.
    rules = dict(min_joint_score=0, min_person_score=0, min_joints=1, max_jump=9) | options
    for name, value in rules.items():
        arguments += [f'--{name.replace("_", "-")}', str(value)]
    return pseudo_label.main([*arguments, '--device', 'cpu', '--traceback'])


def test_videos_become_a_data_set_with_sheets(teacher, tmp_path, capsys):
    video, out = write_video(tmp_path / 'walk.avi'), tmp_path / 'mine'
    counts = command(teacher, out, video)
    assert counts['frames'] == 6 and counts['people'] == 6
    data = json.loads((out / 'annotations/train/walk.json').read_text())
    assert len(data['images']) == 6 and len(data['annotations']) == 6
    assert len(list((out / 'images/walk').glob('*.jpg'))) == 6
    assert cv2.imread(str(out / 'kept_train.png')) is not None
    assert not (out / 'dropped_train.png').exists()
    assert '6 frames, 6 frames with labels, 6 people' in capsys.readouterr().out
    before = (out / 'annotations/train/walk.json').stat().st_mtime_ns
    assert command(teacher, out, video) == {}
    assert 'is labelled already' in capsys.readouterr().out
    assert (out / 'annotations/train/walk.json').stat().st_mtime_ns == before
    with pytest.raises(ValueError, match='other rules'):
        command(teacher, out, video, min_joints=2)


def test_people_who_are_left_out_are_shown(teacher, tmp_path, capsys):
    video, out = write_video(tmp_path / 'walk.avi'), tmp_path / 'mine'
    counts = command(teacher, out, video, min_height=500)
    assert counts['people'] == 0 and counts['people too small'] == 6
    assert cv2.imread(str(out / 'dropped_train.png')) is not None
    assert not (out / 'kept_train.png').exists()
    assert 'no person was labelled' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere.mp4'], 'nowhere.mp4'),
        (['{video}', '--min-joint-score', '3'], 'min_joint_score=3.0 has to be from 0 to 1'),
        (['{picture}'], 'is not a video or a folder of frames'),
    ],
)
def test_bad_input_is_one_line(teacher, tmp_path, arguments, message):
    cv2.imwrite(str(tmp_path / 'shot.png'), np.zeros((20, 20, 3), np.uint8))
    video = write_video(tmp_path / 'walk.avi')
    arguments = [
        a.format(video=video, picture=tmp_path / 'shot.png') for a in arguments
    ]  # fmt: skip
    with pytest.raises(SystemExit, match=message):
        pseudo_label.main([*arguments, '--out', str(tmp_path / 'out'), '--teacher', teacher])
    assert not (tmp_path / 'out/annotations').exists()
