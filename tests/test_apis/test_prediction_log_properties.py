"""The log of predictions, cut and damaged anywhere."""

import json

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from property_cases import cases, json_values

from diffpose_mm.apis.frame_source import FrameSource
from diffpose_mm.apis.prediction_log import PredictionLog
from diffpose_mm.apis.sink import RunInfo

RUN = dict(config='a.py', video='é.mp4', seed=0)


def entry(number):
    return dict(frame_id=number, instances=[dict(keypoints=[[1.5, 2.25]], name='ü')] * (number % 3))


def log_of(path, resume=False):
    """A log that is not opened yet."""
    source = FrameSource()
    source.from_disk = True
    return PredictionLog(str(path), RunInfo(source, identity=RUN, resume=resume))


def write_log(folder, frames):
    log = log_of(folder / 'v.json')
    log.open()
    for number in range(frames):
        log.append(entry(number))
    log.close()
    return folder / 'v.jsonl'


def go_on(folder, frames):
    log = log_of(folder / 'v.json', resume=True)
    kept = list(log.restored())
    log.open()
    assert kept == [entry(number) for number in range(log.done)]
    for number in range(log.done, frames):
        log.append(entry(number))
    log.finish()
    if not frames:
        assert not list(folder.iterdir())
        return len(kept)
    found = json.loads((folder / 'v.json').read_text())
    assert found[0].pop('run') == RUN
    assert found[0].pop('meta')['format']
    assert found == [entry(number) for number in range(frames)]
    return len(kept)


@cases(st.integers(1, 6), st.data())
def test_a_log_cut_at_any_byte_is_gone_on_with(tmp_path_factory, frames, data):
    """Broken if a kill while a line is written loses a complete line or leaves half of one."""
    folder = tmp_path_factory.mktemp('log')
    lines = write_log(folder, frames)
    content = lines.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    lines.write_bytes(content[:cut])
    complete = content[:cut].count(b'\n')
    assert go_on(folder, frames) == max(complete - 1, 0)


@cases(st.integers(1, 6), st.data())
def test_a_log_with_another_byte_is_gone_on_with_up_to_there_or_refused(
    tmp_path_factory, frames, data
):
    """Broken if damage passes for a prediction, or if a file that is no log is emptied."""
    folder = tmp_path_factory.mktemp('log')
    lines = write_log(folder, frames)
    content = bytearray(lines.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.sampled_from(b'\n{}[]",:x0\xff'))
    lines.write_bytes(content)
    header = bytes(content).index(b'\n') if b'\n' in content else len(content)
    try:
        log = log_of(folder / 'v.json', resume=True)
    except ValueError as error:
        assert str(lines) in str(error)
        assert lines.read_bytes() == content
        assert place <= header
        return
    # A changed byte within a line that is still JSON cannot be told from a prediction.
    before = bytes(content[:place]).count(b'\n')
    assert log.done >= max(before - 1, 0)
    assert all(e['frame_id'] == i for i, e in enumerate(log.restored()))


@cases(st.one_of(json_values(), st.just([entry(0)])), st.booleans())
def test_a_file_that_is_no_log_is_refused_and_kept(tmp_path_factory, value, finished):
    folder = tmp_path_factory.mktemp('log')
    file = folder / ('v.json' if finished else 'v.jsonl')
    file.write_text(json.dumps(value) + '\n')
    assume(not (finished and value == []))
    before = file.read_bytes()
    with pytest.raises(ValueError, match='v.json'):
        log_of(folder / 'v.json', resume=True)
    assert file.read_bytes() == before
    assert [f.name for f in folder.iterdir()] == [file.name]


@cases(st.integers(1, 4), st.data())
def test_a_finished_file_cut_at_any_byte_is_refused_and_kept(tmp_path_factory, frames, data):
    folder = tmp_path_factory.mktemp('log')
    write_log(folder, frames)
    go_on(folder, frames)
    file = folder / 'v.json'
    content = file.read_bytes()
    cut = data.draw(st.integers(0, len(content) - 3))
    file.write_bytes(content[:cut])
    with pytest.raises(ValueError, match='v.json'):
        log_of(file, resume=True)
    assert file.read_bytes() == content[:cut]
