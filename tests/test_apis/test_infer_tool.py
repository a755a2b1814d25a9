"""The command line: what it writes, says and refuses. Beside the tiny model, which it shares."""

import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from apis_helpers import moving_frames, read_video

from diffpose_mm.apis import live_sources
from diffpose_mm.tools import infer

BOXES = {t: [[10 + 4 * t, 10, 45 + 4 * t, 80]] for t in range(7)}


def arguments(model, inputs, out, *more):
    config, checkpoint = model
    return [
        str(inputs),
        *('--config', config, '--checkpoint', checkpoint, '--out', str(out), '--device', 'cpu'),
        *more,
    ]


def test_a_video_gives_all_that_the_help_promises(tiny_model, video, tmp_path, capsys):
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(json.dumps(BOXES))
    done = infer.main(
        arguments(
            tiny_model,
            video,
            tmp_path,
            '--boxes',
            str(boxes),
            '--hypotheses',
            '3',
            '--moments',
            '4',
            '--draw-bbox',
            '--save-hypotheses',
            '--streaming',
        )  # fmt: skip
    )
    assert (done['frames'], done['people'], done['tracks']) == (7, 7, 1)
    assert len(read_video(tmp_path / 'visualizations' / 'walk.avi')) == 7
    entries = json.loads((tmp_path / 'predictions' / 'walk.json').read_text())
    person = entries[3]['instances'][0]
    assert np.array(person['hypotheses']).shape == (3, 17, 2)
    assert np.max(person['keypoint_std']) > 0
    for name, least in (('contact_sheet.png', 4 * 320), ('trajectories.png', 800)):
        picture = cv2.imread(str(tmp_path / name))
        assert picture.shape[1] >= least and picture.std() > 5
    out = capsys.readouterr().out
    assert '7 frames, 7 people in 1 tracks' in out
    assert 'crops renewed in' in out
    # What was written serves as boxes of another run, and a finished run has nothing left to do.
    again = infer.read_boxes(str(tmp_path / 'predictions' / 'walk.json'))
    assert list(again) == list(range(7))


def test_figures_of_another_video_are_kept(tiny_model, video, tmp_path):
    """Broken if a second video in a folder took the page and figures of the first."""
    other = tmp_path / 'other.avi'
    shutil.copy(video, other)
    out = tmp_path / 'both'
    for inputs in (video, other, other):
        infer.main(arguments(tiny_model, inputs, out, '--no-video', '--no-report', '--det-model',
                             'whole_image'))  # fmt: skip
    assert (out / 'trajectories.png').exists() and (out / 'trajectories.png.old').exists()
    assert (out / 'predictions' / 'walk.json').exists()
    assert (out / 'predictions' / 'other.json').exists()


def test_pictures_give_a_sheet_and_no_trajectories(tiny_model, tmp_path):
    folder = tmp_path / 'in'
    folder.mkdir()
    for t, frame in enumerate(moving_frames(3)):
        cv2.imwrite(str(folder / f'{t}.png'), frame)
    done = infer.main(arguments(tiny_model, folder, tmp_path / 'out', '--det-model', 'whole_image'))
    assert done['frames'] == 3
    assert sorted(os.listdir(tmp_path / 'out')) == [
        'contact_sheet.png', 'predictions', 'visualizations',
    ]  # fmt: skip
    assert sorted(os.listdir(tmp_path / 'out' / 'predictions')) == ['0.json', '1.json', '2.json']


def test_options_reach_the_config(tiny_model, video, tmp_path):
    with pytest.raises(SystemExit, match='sampling_steps must be an integer from 1 to 1000'):
        infer.main(
            arguments(
                tiny_model,
                video,
                tmp_path,
                '--det-model',
                'whole_image',
                '--cfg-options',
                'model.test_cfg.sampling_steps=0',
            )  # fmt: skip
        )


@pytest.mark.parametrize(
    'text, message',
    [
        ('{"a": []}', 'a key is no frame number'),
        ('[[1, 2', 'is not JSON'),
        ('5', 'holds int, not a list or object'),
        ('[{"frame_id": "a", "instances": []}]', 'a key is no frame number'),
    ],
)
def test_boxes_that_are_no_boxes(tiny_model, video, tmp_path, text, message):
    path = tmp_path / 'boxes.json'
    path.write_text(text)
    with pytest.raises(SystemExit, match=f'error: boxes file .*{message}'):
        infer.main(arguments(tiny_model, video, tmp_path, '--boxes', str(path)))


def test_errors_are_one_line_and_name_the_file(tiny_model, tmp_path):
    with pytest.raises(SystemExit, match='error: input nowhere.mp4 does not exist'):
        infer.main(arguments(tiny_model, 'nowhere.mp4', tmp_path, '--det-model', 'whole_image'))
    with pytest.raises(SystemExit, match='error: checkpoint nothing.pth does not exist'):
        infer.main(arguments((tiny_model[0], 'nothing.pth'), 'a.mp4', tmp_path))


def test_a_number_of_moments_below_one_is_refused_before_the_run(tiny_model, video, tmp_path):
    with pytest.raises(SystemExit, match='2'):
        infer.main(arguments(tiny_model, video, tmp_path / 'out', '--moments', '0'))
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('inputs', ['walk.avi', 'in', 'webcam:0'])
def test_ctrl_c_keeps_what_is_there_and_offers_resume_only_where_it_works(
    tiny_model, video, tmp_path, monkeypatch, capsys, inputs
):
    """A camera ends in no other way; pictures cannot be resumed."""
    monkeypatch.chdir(tmp_path)
    os.symlink(video, 'walk.avi')
    os.mkdir('in')
    for t, frame in enumerate(moving_frames(3)):
        cv2.imwrite(f'in/{t}.png', frame)
    capture = cv2.VideoCapture
    monkeypatch.setattr(live_sources.cv2, 'VideoCapture', lambda source: capture(video))
    add, seen = infer.TrackHistory.add, []

    def interrupted(*args):
        add(*args)
        seen.append(args)
        if len(seen) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(infer.TrackHistory, 'add', interrupted)
    command = arguments(tiny_model, inputs, 'out', '--det-model', 'whole_image')
    if inputs == 'webcam:0':
        assert infer.main(command)['frames'] == 2
        assert len(json.loads((tmp_path / 'out/predictions/webcam.json').read_text())) == 2
    else:
        with pytest.raises(SystemExit, match='130'):
            infer.main(command)
    said = capsys.readouterr().err
    assert ('interrupted' in said) == (inputs != 'webcam:0')
    assert ('--resume' in said) == (inputs == 'walk.avi')
    assert (tmp_path / 'out' / 'contact_sheet.png').is_file()


def test_it_runs_as_a_module_and_explains_itself(tmp_path):
    done = subprocess.run(
        [sys.executable, '-m', 'diffpose_mm', 'infer', '--help'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=dict(os.environ, OMP_NUM_THREADS='1'),
    )
    assert done.returncode == 0, done.stderr
    for word in ('examples:', 'what is written:', '--resume', 'boxes.json is', 'webcam:0'):
        assert word in done.stdout
