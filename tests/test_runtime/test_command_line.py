"""The two commands that run an exported model."""

import json

import cv2
import numpy as np
import pytest
from runtime_helpers import walk

from diffpose_mm.interchange.poses_json import read_poses_json
from diffpose_mm.report.predictions import read_predictions
from diffpose_mm.smoothing.files import read_file
from diffpose_mm.tools import infer
from diffpose_mm_runtime import boxes
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


@pytest.fixture
def stop_at(monkeypatch):
    """Lets the fifth frame end a run by an exception."""

    def stop(error):
        of = boxes.GivenBoxes.of

        def people(self, frame_id, shape):
            if frame_id == 4:
                raise error
            return of(self, frame_id, shape)

        monkeypatch.setattr(boxes.GivenBoxes, 'of', people)

    return stop


@pytest.mark.parametrize('command', ['runtime', 'infer'])
def test_ctrl_c_keeps_the_frames(command, folder, exported, stop_at, capsys):
    """Broken if Ctrl-C gave a traceback, or the readers lost a frame of what it left."""
    argv = [*arguments(folder, exported, 'out'), '--batch-size', '1', '--mode', 'causal']
    stop_at(KeyboardInterrupt())
    with pytest.raises(SystemExit) as raised:
        main(argv) if command == 'runtime' else infer.main([*argv, '--engine', 'onnxruntime'])
    assert raised.value.code == 130
    lines = folder / 'out' / 'predictions' / 'walk.jsonl'
    said = capsys.readouterr().err
    assert 'stopped after 3 frames' in said and str(lines) in said and 'interrupted' in said
    assert [p.name for p in lines.parent.iterdir()] == ['walk.jsonl']
    entries = read_file(str(lines))
    assert [len(entry['instances']) for entry in entries] == [2, 2, 2]
    assert read_predictions(lines).frames.tolist() == [0, 1, 2]
    assert len(read_poses_json(lines).frames) == 3


def test_nothing_is_written_over(folder, exported, stop_at):
    """Broken if a second run wiped predictions, given boxes or what an interruption had left."""
    argv = [*arguments(folder, exported, 'out'), '--batch-size', '1', '--mode', 'causal']
    path = main(argv)
    before = path.read_bytes()
    argv[4] = str(path)  # its own predictions as boxes
    with pytest.raises(SystemExit, match='walk.json holds predictions .* give another --out'):
        main(argv)
    assert path.read_bytes() == before
    argv[6] = str(folder / 'other')
    stop_at(ValueError('of a test'))
    with pytest.raises(SystemExit, match='of a test'):
        main(argv)
    lines = folder / 'other' / 'predictions' / 'walk.jsonl'
    before = lines.read_bytes()
    with pytest.raises(SystemExit, match='walk.jsonl holds frames of an interrupted run'):
        main(argv)
    assert lines.read_bytes() == before and before.count(b'\n') == 4


def test_a_run_that_fails_at_once_leaves_nothing(folder, exported):
    """Broken if a log without frames kept the next run from starting."""
    (folder / 'boxes.json').write_text('[]')
    for _ in range(2):
        with pytest.raises(SystemExit, match='has 0 entries, but the input has a frame 0'):
            main(arguments(folder, exported, 'out'))


def test_the_current_folder(folder, exported, monkeypatch):
    """Broken if predictions of ``.`` were called '.json', or a dot ended the name of a folder."""
    (folder / 'walk').rename(folder / 'walk.2')
    monkeypatch.chdir(folder / 'walk.2')
    argv = arguments(folder, exported, 'out')
    assert main(['.', *argv[1:]]).name == 'walk.2.json'


@pytest.mark.parametrize(
    'more, message',
    [
        (['--batch-size', '0'], '--batch-size: 0 is less than 1'),
        (['--batch-size', 'all'], "--batch-size: invalid whole_number value: 'all'"),
        (['--threads', '-1'], '--threads: -1 is less than 0'),
    ],
)
def test_numbers_out_of_range(more, message, folder, exported, capsys):
    """Broken if a run began, and ended, with a number that cannot be."""
    with pytest.raises(SystemExit):
        main([*arguments(folder, exported, 'out'), *more])
    assert message in capsys.readouterr().err


def test_options_for_what_an_engine_never_writes(folder, exported):
    """Broken if ``--no-report``, like ``--no-video``, were refused where there is none anyway."""
    argv = [*arguments(folder, exported, 'out'), '--engine', 'onnxruntime']
    (path,) = infer.main([*argv, '--no-report', '--no-video'])['files']
    assert len(json.loads((folder / path).read_text())) == 6
