"""Files of predictions, read whole and written whole."""

import json

import pytest
from smoothing_cases import walk

from diffpose_mm.smoothing import smooth_file, smooth_predictions, smoothed_name


def test_name_beside_the_predictions():
    """Broken if the raw predictions were written over."""
    assert smoothed_name('a/walk.json') == 'a/walk_smooth.json'
    assert smoothed_name('walk.v2.jsonl') == 'walk.v2_smooth.json'


def test_the_file_is_the_smoothed_predictions(tmp_path):
    """Broken if reading or writing changed what is smoothed, or steps were not counted."""
    raw, out = tmp_path / 'walk.json', tmp_path / 'out.json'
    raw.write_text(json.dumps(walk()))
    steps = []
    done = smooth_file(str(raw), str(out), advance=lambda: steps.append(1))
    written = json.loads(out.read_text())
    assert written == smooth_predictions(walk())
    assert done == written[0]['run']['smoothing'] and len(steps) == 2 * 20
    whole = dict(meta_info={}, instance_info=walk())
    raw.write_text(json.dumps(whole))
    smooth_file(str(raw), str(out), 'one-euro')
    assert json.loads(out.read_text()) == smooth_predictions(whole, 'one-euro')


def test_the_log_of_an_interrupted_run(tmp_path):
    """Broken if a run that was killed had poses that could not be smoothed."""
    first, *others = walk()
    header = {name: first.pop(name) for name in ('run', 'meta')}
    lines = [json.dumps(entry) for entry in (header, first, *others)]
    log, out = tmp_path / 'walk.jsonl', tmp_path / 'out.json'
    log.write_text('\n'.join(lines) + '\n{"frame_id": 20, "inst')
    smooth_file(str(log), str(out))
    assert json.loads(out.read_text()) == smooth_predictions(walk())


@pytest.mark.parametrize(
    'name, text, message',
    [
        ('a.json', '[{"frame_id": 0, "insta', 'cut short'),
        ('a.json', '{"a": 1}', 'instance_info'),
        ('a.json', '[[1, 2]]', 'entry 0 is no frame'),
        ('a.jsonl', '{"frame_id": 0}\n', 'first line of a log'),
        ('a.jsonl', '{"meta": 1}\n', 'no frames'),
        ('a.jsonl', '{"meta": 1}\n{{\n', 'line 2 is not JSON'),
        ('a.jsonl', '', 'first line of a log'),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_nothing_is_written(tmp_path, name, text, message):
    """Broken if half a file were smoothed, or an older result destroyed."""
    path, out = tmp_path / name, tmp_path / 'out.json'
    path.write_text(text)
    out.write_text('older')
    with pytest.raises(ValueError, match=rf'{name}.*{message}'):
        smooth_file(str(path), str(out))
    assert out.read_text() == 'older'
