"""What loading clips cost is told."""

import logging
from types import SimpleNamespace

import pytest
from mmpose.structures import PoseDataSample

from diffpose_mm.engine import ClipStatsHook


def batch(*metas):
    return dict(data_samples=[PoseDataSample(metainfo=meta) for meta in metas])


@pytest.mark.parametrize('mode', ['train', 'val', 'test'])
def test_counts_of_an_epoch(mode, caplog):
    """Broken if the decodes per sample are wrong or counts leak into the next epoch."""
    logger = logging.getLogger('clip-stats')
    runner = SimpleNamespace(logger=logger)
    hook = ClipStatsHook()
    for _ in range(2):
        caplog.clear()
        getattr(hook, f'before_{mode}_epoch')(runner)
        replaced = [True, False, False, False, True]
        one = dict(clip_decodes=5, clip_broken=0, clip_replicated=[False] * 5)
        two = dict(clip_decodes=1, clip_broken=1, clip_replicated=replaced)
        getattr(hook, f'after_{mode}_iter')(runner, 0, batch(one, two))
        getattr(hook, f'after_{mode}_iter')(runner, 1, batch(two))
        with caplog.at_level(logging.INFO, 'clip-stats'):
            getattr(hook, f'after_{mode}_epoch')(runner)
        assert caplog.messages == [
            f'Clips ({mode}): 3 samples, 2.33 files decoded for a sample, 4 frames replaced by a '
            'neighbour, 2 of them missing or broken'
        ]


def test_silent_without_clips(caplog):
    """Other data sets, whose samples know no clip, run with the hook too."""
    hook = ClipStatsHook()
    runner = SimpleNamespace(logger=logging.getLogger('clip-stats'))
    hook.after_train_iter(runner, 0, batch(dict(img_id=1)))
    hook.after_train_iter(runner, 1, None)
    with caplog.at_level(logging.INFO, 'clip-stats'):
        hook.after_train_epoch(runner)
    assert not caplog.messages
