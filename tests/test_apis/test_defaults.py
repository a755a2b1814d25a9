"""What is taken where nothing is named."""

import json
import os

import pytest
import torch
from mmpose.apis import MMPoseInferencer

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.apis.defaults import DETECTOR, WEIGHTS, output_folder, weights_of_config
from diffpose_mm.shipped import read_shipped
from diffpose_mm.tools import infer


def test_folder_is_beside_the_input_and_new(tmp_path):
    """Broken if a second run wrote over the poses of the first."""
    video = tmp_path / 'walk.mp4'
    video.touch()
    first = output_folder(str(video))
    assert first == str(tmp_path / 'walk_poses')
    os.mkdir(first)
    second = output_folder(str(video))
    assert second == str(tmp_path / 'walk_poses2')
    os.mkdir(second)
    assert output_folder(str(video)) == str(tmp_path / 'walk_poses3')
    assert output_folder(str(video), resume=True) == second


def test_folder_of_a_camera_is_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert output_folder('webcam:0') == str(tmp_path / 'webcam_0_poses')
    assert output_folder('rtsp://host/stream1?key=a') == str(tmp_path / 'stream1_key_a_poses')


def test_where_nothing_can_be_written_it_is_said(tmp_path, monkeypatch):
    (tmp_path / 'walk.mp4').touch()
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    with pytest.raises(ValueError, match='beside the input, in .*: give --out'):
        output_folder(str(tmp_path / 'walk.mp4'))


def test_a_video_alone_is_enough(video, tmp_path, capsys):
    """Broken if the first command that anyone types needed a config, weights or a network."""
    copy = tmp_path / 'walk.avi'
    copy.write_bytes(open(video, 'rb').read())
    done = infer.main([str(copy), '--det-model', 'whole_image', '--device', 'cpu', '--no-video'])
    assert done['frames'] == done['people'] == 7
    frames = json.loads((tmp_path / 'walk_poses/predictions/walk.json').read_text())
    assert frames[0]['meta']['keypoints'][1] == 'left_eye'
    said = capsys.readouterr().out
    assert 'poses are by diffpose_real' in said and 'RANDOM' not in said
    # Five frames, each of which went through the backbone once.
    assert len(frames[3]['frames_used']) == 5 and frames[0]['run']['streaming']


def test_inferencer_without_arguments_has_weights():
    inferencer = DiffPoseInferencer(device='cpu', det_model='whole_image')
    assert inferencer.identity['checkpoint'] is not None


@pytest.mark.parametrize('name', WEIGHTS)
def test_a_config_that_comes_with_weights_has_them(name, inferencer_weights):
    """Broken if naming the config alone gave poses of random weights."""
    shipped = read_shipped(WEIGHTS[name])[0]
    for found in inferencer_weights(name):
        assert len(found) > 100
        for key, value in found.items():
            torch.testing.assert_close(value, shipped[key], rtol=0, atol=0, msg=key)


@pytest.fixture
def inferencer_weights():
    """The weights in our inferencer and in mmpose's own, unmodified."""

    def weights(name):
        ours = DiffPoseInferencer(name, device='cpu', det_model='whole_image')
        theirs = MMPoseInferencer(pose2d=name, device='cpu', det_model='whole_image')
        for model in (ours.model, theirs.inferencer.model):
            own = model.state_dict()
            yield {k: v for k, v in own.items() if k in read_shipped(WEIGHTS[name])[0]}

    return weights


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(pose2d_weights='x.pth'), 'needs the pose2d'),
        (dict(pose3d='x'), 'does no 3D'),
    ],
)
def test_weights_without_their_model_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DiffPoseInferencer(**arguments)


def test_checkpoint_without_config_is_refused(capsys):
    with pytest.raises(SystemExit):
        infer.parse_args(['walk.mp4', '--checkpoint', 'x.pth'])
    assert '--checkpoint needs the --config' in capsys.readouterr().err


def test_the_weights_of_a_config_are_found_by_its_path_too(tmp_path):
    """Broken if the path that docs give, instead of the name, meant random weights."""
    from diffpose_mm.configs import find_config

    path = find_config('diffpose_real')
    assert weights_of_config(path) == weights_of_config('diffpose_real') is not None
    assert weights_of_config(tmp_path / 'diffpose_real.py') is None


def test_a_copy_of_the_config_runs_without_weights(tmp_path):
    """Broken if a config of several training sets needed a checkpoint to know its keypoints."""
    from diffpose_mm.configs import read_config

    copy = tmp_path / 'mine.py'
    read_config('diffpose_real').dump(copy)
    inferencer = DiffPoseInferencer(str(copy), device='cpu', det_model='whole_image')
    assert inferencer.model.dataset_meta['num_keypoints'] == 17


def test_the_default_model_has_a_detector_of_its_own():
    """Broken if one command found other people where there is a network."""
    own = DiffPoseInferencer(device='cpu').detector
    assert own.model == DETECTOR
    named = DiffPoseInferencer('diffpose_real', device='cpu').detector
    assert named.model is None
