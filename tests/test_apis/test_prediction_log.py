"""Predictions on disk."""

from diffpose_mm.apis.frame_source import FrameSource
from diffpose_mm.apis.prediction_log import PredictionLog
from diffpose_mm.apis.sink import RunInfo


def log_of(path, run, resume=False):
    """An opened log."""
    log = PredictionLog(str(path), RunInfo(FrameSource(), identity=run, resume=resume))
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
