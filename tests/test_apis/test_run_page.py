"""The page of a run, and the tools that make and serve one."""

import json
import os
import threading
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from diffpose_mm.apis.kept_poser import FeatureStore
from diffpose_mm.tools import infer, play, report


def arguments(model, *more):
    config, checkpoint = model
    return [
        *('--config', config, '--checkpoint', checkpoint, '--device', 'cpu'),
        *('--det-model', 'whole_image'),
        *map(str, more),
    ]


def test_infer_writes_a_page_of_a_video(tiny_model, video, tmp_path):
    """Broken if a user had to ask for what shows the poses best."""
    done = infer.main([video, *arguments(tiny_model, '--out', tmp_path, '--no-video')])
    page = (tmp_path / 'report.html').read_text()
    assert str(tmp_path / 'report.html') in done['files']
    assert '<h1>walk.avi</h1>' in page and 'id="video-file"' in page


def test_the_page_is_made_of_the_predictions_whatever_else_is_json(tiny_model, video, tmp_path):
    """Broken if a format that writes JSON too took the page, or no JSON ended the run."""
    options = arguments(tiny_model, '--out', tmp_path, '--no-video', '--format', 'csv')
    assert infer.main([video, *options])['frames'] == 7
    assert not (tmp_path / 'report.html').exists()
    infer.main([video, *options, 'json'])
    assert (tmp_path / 'report.html').exists()


def test_infer_writes_none_where_it_is_not_wanted(tiny_model, video, tmp_path):
    """Broken if --no-report did nothing."""
    infer.main([video, *arguments(tiny_model, '--out', tmp_path, '--no-video', '--no-report')])
    assert not (tmp_path / 'report.html').exists()


def test_a_page_that_fails_does_not_fail_the_run(tiny_model, video, tmp_path):
    """Broken if poses of a long video ended in an error because a page did not fit."""
    options = ('--out', tmp_path, '--no-video', '--report-size', '0.05')
    done = infer.main([video, *arguments(tiny_model, *options)])
    assert done['frames'] == 7 and not (tmp_path / 'report.html').exists()


def test_an_input_is_not_written_over(tiny_model, tmp_path):
    """Broken if --out could name the predictions themselves."""
    poses = tmp_path / 'a.json'
    poses.write_text('[]')
    with pytest.raises(SystemExit, match=r'a\.json'):
        report.main([str(poses), '--out', str(poses)])
    assert poses.read_text() == '[]'


def test_report_makes_the_page_beside_the_predictions(tiny_model, video, tmp_path, capsys):
    """Broken if the tool made another page than infer does."""
    infer.main([video, *arguments(tiny_model, '--out', tmp_path, '--no-video')])
    out = report.main([str(tmp_path / 'predictions/walk.json'), '--video', video])
    assert out == str(tmp_path / 'predictions/walk.html')
    with open(out) as made, open(tmp_path / 'report.html') as first:
        assert made.read() == first.read()
    assert report.main([str(tmp_path / 'predictions/walk.json')]) == out
    assert os.path.getsize(out) < os.path.getsize(tmp_path / 'report.html')


@pytest.mark.parametrize(
    'more, message',
    [(['--max-size', '0'], 'positive'), (['--keypoints', 'coco18'], 'invalid choice')],
)
def test_arguments_out_of_range_are_refused(more, message, capsys):
    """Broken if they were found out after the video was read."""
    with pytest.raises(SystemExit):
        report.parse_args(['a.json', *more])
    assert message in capsys.readouterr().err


@pytest.fixture
def served(tiny_model, video):
    """The server of a video's page, and its store."""
    store = FeatureStore()
    options = arguments(tiny_model, '--steps', '1', '--hypotheses', '2')
    server = play.prepare(play.parse_args([video, *options]), store)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield server
    server.close()
    thread.join(5)
    store.close()


def ask(server, **question):
    request = urllib.request.Request(server.address + 'sample', json.dumps(question).encode())
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_play_samples_again(served):
    """Broken if what the page shows after a slider were not of that many steps."""
    with urllib.request.urlopen(served.address) as answer:
        page = answer.read().decode()
    assert '"most_steps": 50' in page and '"hypotheses": 2' in page
    status, few = ask(served, steps=1, hypotheses=2, frames=[2, 3])
    assert status == 200 and sorted(few['frames']) == ['2', '3'] and few['missing'] is False
    _, more = ask(served, steps=5, hypotheses=4, frames=[2])
    (before,), (after,) = few['frames']['2'], more['frames']['2']
    assert len(before['hypotheses']) == 2 and len(after['hypotheses']) == 4
    assert before['track_id'] == after['track_id']
    assert not np.allclose(before['keypoints'], after['keypoints'], atol=1e-3)
    # One hypothesis says nothing of a spread.
    _, one = ask(served, steps=1, hypotheses=1, frames=[2])
    assert 'keypoint_std' not in one['frames']['2'][0]


@pytest.mark.parametrize(
    'question, message',
    [
        (dict(steps=0, hypotheses=1, frames=[0]), 'steps must be an integer from 1 to 50'),
        (dict(steps=1, hypotheses=10**6, frames=[0]), 'hypotheses must be an integer from 1 to'),
        (dict(steps='4', hypotheses=1, frames=[0]), "got '4'"),
        (dict(steps=1, hypotheses=1, frames='all'), 'frames must be a list'),
        (dict(steps=1, hypotheses=1, frames=[0] * 100), 'at most 64'),
        (dict(steps=1, hypotheses=1), 'frames must be a list'),
    ],
)
def test_a_question_out_of_range_is_told_so(served, question, message):
    """Broken if one question could keep the machine busy for hours."""
    status, answer = ask(served, **question)
    assert status == 400 and message in answer['error']


def test_a_model_of_single_frames_has_no_sliders_and_says_so(video):
    """Broken if sliders moved and nothing happened."""
    store = FeatureStore()
    server = play.prepare(play.parse_args([video, '--det-model', 'whole_image']), store)
    assert 'This model has no denoising steps (its head is a MoveNetHead)' in server.page.decode()
    with pytest.raises(ValueError, match='no denoising steps'):
        server.reply(dict(steps=1, hypotheses=1, frames=[0]))
    server._server.server_close()


@pytest.mark.parametrize(
    'given, message', [('nothing.mp4', 'is not a file'), (None, 'is not a video')]
)
def test_play_takes_a_video_file(given, message, tiny_model, tmp_path):
    """Broken if a picture or a missing file ended in a traceback."""
    picture = tmp_path / 'a.png'
    cv2.imwrite(str(picture), np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(SystemExit, match=message):
        play.main([given or str(picture), *arguments(tiny_model)])
