"""Predictions on disk."""

from diffpose_mm.apis.results import PredictionLog


def test_what_an_interrupted_run_left_is_set_aside(tmp_path):
    """Broken if the command given again without --resume loses hours of predictions."""
    first = PredictionLog(str(tmp_path / 'a.json'), dict(input='a'))
    first.append(dict(frame_id=0, instances=[]))
    first.close()
    left = (tmp_path / 'a.jsonl').read_bytes()
    second = PredictionLog(str(tmp_path / 'a.json'), dict(input='a'))
    assert second.done == 0
    second.finish()
    assert (tmp_path / 'a.jsonl.old').read_bytes() == left
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.json', 'a.jsonl.old']
