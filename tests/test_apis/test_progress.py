import threading

import pytest

from diffpose_mm.apis import progress


@pytest.fixture
def told(monkeypatch):
    """What is logged of a stage, and an event that is set with its first line."""
    lines, first = [], threading.Event()

    def keep(line, logger):
        lines.append(line)
        first.set()

    monkeypatch.setattr(progress, 'print_log', keep)
    monkeypatch.setattr(progress, 'LOG_INTERVAL', 0.005)
    return lines, first


def tellers():
    return [thread for thread in threading.enumerate() if thread.name.endswith('(tell)')]


def test_a_stage_says_that_it_goes_on_until_it_is_over(told):
    """Broken if a long conversion were silent in a log, or went on telling after its end."""
    lines, first = told
    with progress.stage('reading walk.json'):
        assert first.wait(10)
    assert lines[0].startswith('reading walk.json: 0 s')
    assert not tellers()


def test_what_goes_wrong_in_a_stage_ends_it(told):
    """Broken if an error left its clock running, or were lost."""
    with pytest.raises(ValueError, match='cut short'), progress.stage('reading'):
        raise ValueError('cut short')
    assert not tellers()
