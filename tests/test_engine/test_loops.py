"""No metric where a keyframe cannot be read."""

import logging
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger
from mmengine.runner import TestLoop, ValLoop

from diffpose_mm.datasets import LoadClip, PoseTrack18ClipDataset
from diffpose_mm.engine import ClipTestLoop, ClipValLoop
from diffpose_mm.engine.loops import broken_keyframes


@pytest.fixture
def damaged(tiny_posetrack, tmp_path):
    """A tiny PoseTrack of links, of which seven files were damaged: one of them a neighbour."""
    root = tmp_path / 'data'
    for source in tiny_posetrack.rglob('*.jp*g'):
        target = root / source.relative_to(tiny_posetrack)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
    (root / 'annotations').symlink_to(tiny_posetrack / 'annotations')
    for file in sorted(root.glob('images/val/*/*.jpg')):
        file.unlink()
    return root


def clips(root):
    return PoseTrack18ClipDataset(
        ann_file='annotations/posetrack18_val.json', data_root=str(root), test_mode=True,
        pipeline=[LoadClip()],
    )  # fmt: skip


def loop_of(kind, dataset, tmp_path):
    loop = kind.__new__(kind)
    loop._runner = SimpleNamespace(log_dir=str(tmp_path))
    loop.dataloader = SimpleNamespace(dataset=dataset)
    return loop


def test_a_keyframe_of_many_persons_is_read_once(tiny_posetrack):
    paths = clips(tiny_posetrack).keyframes()
    assert len(paths) == len(set(paths)) == 2 * 3


def test_sound_data_and_other_data_sets_pass(tiny_posetrack):
    assert broken_keyframes(clips(tiny_posetrack)) == []
    assert broken_keyframes([1, 2]) == []


def test_a_test_tells_all_broken_keyframes_before_it_starts(damaged, tmp_path, monkeypatch):
    """Broken if a user mends one file, tests again, and hears of the next."""
    monkeypatch.setattr(TestLoop, 'run', lambda self: pytest.fail('started'))
    with pytest.raises(OSError, match='6 keyframes cannot be read') as raised:
        loop_of(ClipTestLoop, clips(damaged), tmp_path).run()
    text = str(raised.value)
    assert text.count('does not exist') == 5 and '; and 1 more' in text
    named = (tmp_path / 'frames_test.txt').read_text().splitlines()
    assert len(named) == 6 and str(tmp_path / 'frames_test.txt') in text


def test_training_goes_on_without_a_validation_that_would_leave_frames_out(
    damaged, tmp_path, monkeypatch, caplog
):
    """Broken if a broken frame of the validation ends a training, or the number hides it."""
    monkeypatch.setattr(ValLoop, 'run', lambda self: pytest.fail('validated'))
    loop = loop_of(ClipValLoop, clips(damaged), tmp_path)
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.ERROR):
        assert loop.run() == loop.run() == {}
    logger.removeHandler(caplog.handler)
    errors = [r.getMessage() for r in caplog.records if r.levelname == 'ERROR']
    assert len(errors) == 2 and errors[0].startswith('No validation: 6 keyframes')


@pytest.mark.parametrize('kind, parent', [(ClipTestLoop, TestLoop), (ClipValLoop, ValLoop)])
def test_sound_data_run_and_are_read_once(kind, parent, tiny_posetrack, tmp_path, monkeypatch):
    """Broken if every validation of a training reads all keyframes again."""
    monkeypatch.setattr(parent, 'run', lambda self: dict(AP=1))
    dataset = clips(tiny_posetrack)
    loop = loop_of(kind, dataset, tmp_path)
    assert loop.run() == dict(AP=1)
    if kind is ClipValLoop:
        monkeypatch.setattr(dataset, 'keyframes', lambda: pytest.fail('read again'))
        assert loop.run() == dict(AP=1)
