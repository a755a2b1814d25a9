"""The two commands that run an exported model."""

import json

import cv2
import numpy as np
import pytest
from runtime_helpers import walk

from diffpose_mm.tools import infer
from diffpose_mm_runtime.__main__ import main


@pytest.fixture
def folder(tmp_path):
    """Frames of a walk as pictures, one of them broken, and boxes.json."""
    frames, boxes = walk(6)
    (tmp_path / 'walk').mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / 'walk' / f'{number}.png'), frame)
    (tmp_path / 'walk' / '3.png').write_bytes(b'broken')
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    return tmp_path


def arguments(folder, exported, out):
    source, boxes = str(folder / 'walk'), str(folder / 'boxes.json')
    return [source, '--model', str(exported), '--boxes', boxes, '--out', str(folder / out)]


def test_both_write_the_same(folder, exported):
    """Broken if infer passed an option on wrongly, or a frame that cannot be read ended the run."""
    main([*arguments(folder, exported, 'a'), '--steps', '2', '--hypotheses', '2'])
    infer.main(
        [*arguments(folder, exported, 'b'), '--engine', 'onnxruntime', '--steps', '2']
        + ['--hypotheses', '2']
    )
    one, other = (
        json.loads((folder / out / 'predictions' / 'walk.json').read_text()) for out in 'ab'
    )
    assert one == other and [entry['frame_id'] for entry in one] == list(range(6))
    assert 'cannot be decoded' in one[3]['fault'] and one[3]['instances'] == []
    assert len(one[0]['meta']['keypoints']) == 17 and one[0]['run']['sampling_steps'] == 2
    assert np.shape(one[5]['instances'][1]['keypoint_std']) == (17, 2)
    assert [p.name for p in (folder / 'a' / 'predictions').iterdir()] == ['walk.json']


@pytest.mark.parametrize(
    'more, message',
    [
        (['--engine', 'onnxruntime', '--det-model', 'whole_image'], '--det-model does not go with'),
        (['--engine', 'onnxruntime', '--resume'], '--resume does not go with'),
    ],
)
def test_what_an_exported_model_does_not_do(more, message, folder, exported):
    """Broken if an option were left out in silence."""
    with pytest.raises(SystemExit, match=message):
        infer.main([*arguments(folder, exported, 'out'), *more])


def test_an_engine_needs_boxes_and_a_model(folder, exported, capsys):
    """Broken if a run began without either."""
    argv = arguments(folder, exported, 'out')
    with pytest.raises(SystemExit, match='give --boxes FILE'):
        infer.main([*argv[:3], '--engine', 'onnxruntime'])
    with pytest.raises(SystemExit):
        infer.main(argv)
    assert '--model DIR go together' in capsys.readouterr().err


@pytest.mark.parametrize(
    'place, value, message',
    [(0, 'nowhere', 'nowhere does not exist'), (2, 'nowhere', 'holds no manifest.json'),
     (4, 'nowhere.json', 'nowhere.json cannot be read')],
)  # fmt: skip
def test_one_line_says_what_is_wrong(place, value, message, folder, exported):
    """Broken if a wrong path gave a traceback."""
    argv = arguments(folder, exported, 'out')
    argv[place] = str(folder / value)
    with pytest.raises(SystemExit, match=message):
        main(argv)
