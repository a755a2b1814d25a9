"""What loading clips cost, and what was wrong with frames, is told."""

import logging
from types import SimpleNamespace

import pytest
from mmpose.structures import PoseDataSample

from diffpose_mm.engine import ClipStatsHook

LOST = ('missing', 'v/000003.jpg', 'does not exist')
EMPTY = ('empty', 'v/000009.jpg', 'is empty')
JUMP = ('jump', 'w/000004.jpg', 'does not exist, nor do the annotations list it')


def batch(*metas):
    return dict(data_samples=[PoseDataSample(metainfo=meta) for meta in metas])


@pytest.fixture
def runner(tmp_path):
    return SimpleNamespace(logger=logging.getLogger('clip-stats'), log_dir=str(tmp_path))


@pytest.mark.parametrize('mode', ['train', 'val', 'test'])
def test_counts_of_an_epoch(mode, caplog, runner, tmp_path):
    """Broken if kinds are mixed, a border counts as a fault, or counts leak into the next epoch."""
    hook = ClipStatsHook()
    good = dict(clip_decodes=5, clip_faults=[], clip_replicated=[False] * 5)
    ends = dict(clip_decodes=1, clip_faults=[LOST], clip_replicated=[True] * 3 + [False] * 2)
    bad = dict(
        clip_decodes=1, clip_faults=[JUMP, LOST], clip_replicated=[False] * 3 + [True] * 2,
        clip_skipped=[EMPTY],
    )  # fmt: skip
    for _ in range(2):
        caplog.clear()
        getattr(hook, f'before_{mode}_epoch')(runner)
        getattr(hook, f'after_{mode}_iter')(runner, 0, batch(good, ends))
        getattr(hook, f'after_{mode}_iter')(runner, 1, batch(bad))
        with caplog.at_level(logging.INFO, 'clip-stats'):
            getattr(hook, f'after_{mode}_epoch')(runner)
        file = tmp_path / f'frames_{mode}.txt'
        assert caplog.messages == [
            f'Clips ({mode}): 3 samples, 2.33 files decoded for a sample; frames replaced by a '
            'neighbour: 2 beyond the ends of a video, 2 missing, 1 missing where the frame numbers '
            'of the video jump; 1 samples given up for their keyframe; 3 files so far, named in '
            f'{file}'
        ]
        assert caplog.records[0].levelname == 'WARNING'
        named = [tuple(line.split('\t')) for line in file.read_text().splitlines()]
        assert named == [EMPTY, JUMP, LOST]


def test_files_of_earlier_epochs_stay_in_the_list(runner, tmp_path):
    """Which samples a window meets differs from epoch to epoch."""
    hook = ClipStatsHook()
    for fault in (LOST, EMPTY):
        hook.before_train_epoch(runner)
        meta = dict(clip_decodes=1, clip_faults=[fault], clip_replicated=[True])
        hook.after_train_iter(runner, 0, batch(meta))
        hook.after_train_epoch(runner)
    assert len((tmp_path / 'frames_train.txt').read_text().splitlines()) == 2


def test_sound_frames_leave_no_list(caplog, runner, tmp_path):
    hook = ClipStatsHook()
    meta = dict(clip_decodes=5, clip_faults=[], clip_replicated=[False] * 5)
    hook.after_train_iter(runner, 0, batch(meta))
    with caplog.at_level(logging.INFO, 'clip-stats'):
        hook.after_train_epoch(runner)
    assert caplog.messages[0].endswith('frames replaced by a neighbour: none')
    assert not list(tmp_path.iterdir())


def test_silent_without_clips(caplog, runner):
    """Other data sets, whose samples know no clip, run with the hook too."""
    hook = ClipStatsHook()
    hook.after_train_iter(runner, 0, batch(dict(img_id=1)))
    hook.after_train_iter(runner, 1, None)
    with caplog.at_level(logging.INFO, 'clip-stats'):
        hook.after_train_epoch(runner)
    assert not caplog.messages
