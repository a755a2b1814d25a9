"""Steady poses by command: of a run, and of predictions that are there. Beside the tiny model."""

import json

import cv2
import numpy as np
import pytest
from apis_helpers import tool_arguments

from diffpose_mm.smoothing import smooth_predictions
from diffpose_mm.tools import infer, smooth


@pytest.mark.parametrize('method', ['rts', 'one-euro'])
def test_infer_writes_both_and_shows_the_smoothed(tiny_model, video, tmp_path, method):
    """Broken if the raw poses were lost, or the page showed them in place of the steady ones."""
    options = ('--out', tmp_path, '--no-video', '--smooth', method, '--hypotheses', '2')
    done = infer.main([video, *tool_arguments(tiny_model, *options)])
    raw = json.loads((tmp_path / 'predictions/walk.json').read_text())
    smoothed = json.loads((tmp_path / 'predictions/walk_smooth.json').read_text())
    assert smoothed == smooth_predictions(raw, method) and 'smoothing' not in raw[0]['run']
    assert str(tmp_path / 'predictions/walk_smooth.json') in done['files']
    page = (tmp_path / 'report.html').read_text()
    infer.main([video, *tool_arguments(tiny_model, *options[:-4], '--hypotheses', '2')])
    assert page != (tmp_path / 'report.html').read_text()
    # What is smoothed does not stay beside the raw poses of another run.
    assert not (tmp_path / 'predictions/walk_smooth.json').exists()
    assert (tmp_path / 'predictions/walk_smooth.json.old').exists()


def test_what_has_nothing_to_smooth_is_refused(tiny_model, video, tmp_path):
    """Broken if a user found out at the end of a long run that nothing was smoothed."""
    given = ('--out', tmp_path, '--smooth', 'rts')
    with pytest.raises(SystemExit, match='--format json'):
        infer.main([video, *tool_arguments(tiny_model, *given, '--format', 'csv')])
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(SystemExit, match='--as-clip'):
        infer.main([str(tmp_path / 'a.png'), *tool_arguments(tiny_model, *given)])
    assert not list(tmp_path.glob('predictions/*.json'))


def walk():
    rng = np.random.default_rng(0)
    return [
        dict(
            frame_id=frame,
            instances=[
                dict(
                    keypoints=(rng.normal(0, 2, (5, 2)) + 100 + frame).tolist(),
                    keypoint_scores=[0.9] * 5,
                    bbox=[[50.0, 50, 150, 150]],
                )
            ],
        )
        for frame in range(10)
    ]


def test_the_tool_writes_beside_the_predictions(tmp_path):
    """Broken if the tool did another thing than the library, or settings did not arrive."""
    poses = tmp_path / 'walk.json'
    poses.write_text(json.dumps(walk()))
    out = smooth.main([str(poses)])
    assert out == str(tmp_path / 'walk_smooth.json')
    with open(out) as file:
        assert json.load(file) == smooth_predictions(walk())
    other = str(tmp_path / 'new/other.json')
    more = ['--method', 'one-euro', '--min-cutoff', '0.5', '--beta', '0', '--fps', '50']
    smooth.main([str(poses), '--out', other, *more])
    with open(other) as file:
        done = json.load(file)[0]['run']['smoothing']
    assert done['settings']['min_cutoff'] == 0.5 and done['times'] == '50 frames a second'


def test_errors_are_one_line(tmp_path):
    """Broken if a wrong file or setting gave a traceback, or an input were written over."""
    poses = tmp_path / 'walk.json'
    poses.write_text('[{"frame_id": 0}]')
    with pytest.raises(SystemExit, match=r'walk\.json: entry 0 is no frame'):
        smooth.main([str(poses)])
    with pytest.raises(SystemExit, match='agility=-1.0 has to be'):
        smooth.main([str(poses), '--agility', '-1'])
    with pytest.raises(SystemExit, match='over the input'):
        smooth.main([str(poses), '--out', str(poses)])
    with pytest.raises(SystemExit, match=r'nowhere\.json'):
        smooth.main([str(tmp_path / 'nowhere.json')])


def test_settings_of_the_other_method_are_refused(capsys):
    """Broken if an option that does nothing were taken."""
    with pytest.raises(SystemExit):
        smooth.parse_args(['a.json', '--beta', '3'])
    assert '--beta goes with --method one-euro' in capsys.readouterr().err
