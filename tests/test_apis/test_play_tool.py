"""The tool that serves a page with sliders. Beside the tiny model, which it shares."""

import json
import threading
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest
from apis_helpers import tool_arguments

from diffpose_mm.apis.kept_poser import FeatureStore
from diffpose_mm.tools import play


@pytest.fixture
def served(tiny_model, video):
    """The server of a video's page, and its store."""
    store = FeatureStore()
    options = tool_arguments(tiny_model, '--steps', '1', '--hypotheses', '2')
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
    options = ['--det-model', 'whole_image', '--config', 'movenet_thunder']
    server = play.prepare(play.parse_args([video, *options]), store)
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
        play.main([given or str(picture), *tool_arguments(tiny_model)])
