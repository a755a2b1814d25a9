"""Predictions on disk."""

import json

import pytest

from diffpose_mm.apis.frame_source import FrameSource
from diffpose_mm.apis.prediction_log import PredictionLog
from diffpose_mm.apis.sink import RunInfo


def log_of(path, run, resume=False):
    """An opened log."""
    source = FrameSource()
    source.from_disk = True
    log = PredictionLog(str(path), RunInfo(source, identity=run, resume=resume))
    log.open()
    return log


def test_what_an_interrupted_run_left_is_set_aside(tmp_path):
    """Broken if the command given again without --resume loses hours of predictions."""
    first = log_of(tmp_path / 'a.json', dict(input='a'))
    first.append(dict(frame_id=0, instances=[]))
    first.close()
    left = (tmp_path / 'a.jsonl').read_bytes()
    second = log_of(tmp_path / 'a.json', dict(input='a'))
    assert second.done == 0
    second.append(dict(frame_id=0, instances=[]))
    second.finish()
    assert (tmp_path / 'a.jsonl.old').read_bytes() == left
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.json', 'a.jsonl.old']


def test_one_run_at_a_time_writes_a_file(tmp_path):
    """Broken if two runs on one output leave an empty file, and one of them calls it a success."""
    first = log_of(tmp_path / 'a.json', dict(input='a'))
    first.append(dict(frame_id=0, instances=[]))
    for resume in (False, True):
        with pytest.raises(ValueError, match='a.jsonl is being written by another run'):
            log_of(tmp_path / 'a.json', dict(input='a'), resume)
    first.append(dict(frame_id=1, instances=[]))
    first.finish()
    assert [e['frame_id'] for e in json.loads((tmp_path / 'a.json').read_text())] == [0, 1]
    log_of(tmp_path / 'a.json', dict(input='a'), True).close()


def test_what_somebody_else_has_written_is_set_aside(tmp_path):
    (tmp_path / 'a.json').write_text('{"my": "annotations"}')
    log = log_of(tmp_path / 'a.json', dict(input='a'))
    log.append(dict(frame_id=0, instances=[]))
    log.finish()
    assert json.loads((tmp_path / 'a.json.old').read_text()) == dict(my='annotations')


def test_an_entry_without_people_or_nobody_is_where_the_log_ends(tmp_path):
    log = log_of(tmp_path / 'a.json', dict(input='a'))
    log.append(dict(frame_id=0, instances=[]))
    log.append(dict(frame_id=1))
    log.close()
    assert log_of(tmp_path / 'a.json', dict(input='a'), True).done == 1
