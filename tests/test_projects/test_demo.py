"""The demo's shipped checkpoints, and how they are made."""

import importlib.util
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.models import build_pose_estimator

from diffpose_mm.engine import check_checkpoint, read_checkpoint

ROOT = Path(__file__).parents[2]
CHECKPOINTS = ROOT / 'projects/demo/checkpoints'


@pytest.fixture(scope='module')
def publish():
    spec = importlib.util.spec_from_file_location('publish', ROOT / 'projects/demo/publish.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('name', ['diffpose_synthetic', 'heatmap_synthetic'])
def test_shipped_checkpoints_are_of_their_configs(name):
    """Broken if a config changed its architecture and the checkpoint beside it was forgotten."""
    path = CHECKPOINTS / f'{name}.pth'
    assert path.stat().st_size <= 12 * 2**20
    cfg = Config.fromfile(str(ROOT / f'configs/{name}.py'))
    init_default_scope('mmpose')
    model = build_pose_estimator(cfg.model)
    check_checkpoint(model, str(path))
    assert all(torch.isfinite(p).all() for p in model.parameters())
    recorded = Config.fromstring(read_checkpoint(str(path))['meta']['cfg'], '.py')
    assert recorded.codec == cfg.codec
    assert recorded.frame_offsets == cfg.frame_offsets


def test_published_weights_are_the_averaged_ones_and_nothing_else(publish, tmp_path):
    """Broken if a shipped file held optimiser state, paths of a machine, or other weights."""
    weights = dict(a=torch.randn(3, 2), steps=torch.tensor(7))
    torch.save(
        dict(
            state_dict=weights,
            ema_state_dict=dict(a=torch.zeros(3, 2)),
            optimizer=dict(state={}),
            message_hub={},
            meta=dict(epoch=2, cfg="work_dir = '/somewhere'", experiment_name='x'),
        ),
        tmp_path / 'epoch_2.pth',
    )
    size = publish.publish(str(tmp_path / 'epoch_2.pth'), str(tmp_path / 'out' / 'small.pth'))
    assert size == (tmp_path / 'out' / 'small.pth').stat().st_size
    published = torch.load(tmp_path / 'out' / 'small.pth', weights_only=True)
    assert published.keys() == {'state_dict', 'meta'}
    assert published['state_dict']['a'].dtype == torch.float16
    torch.testing.assert_close(
        published['state_dict']['a'].float(), weights['a'], atol=2e-3, rtol=1e-3
    )
    assert published['state_dict']['steps'] == 7
    assert '/somewhere' not in str(published['meta'])
    assert published['meta']['epoch'] == 2


def test_a_checkpoint_too_large_for_the_repository_is_refused(publish, tmp_path):
    """Broken if a large file were committed by the same command."""
    torch.save(dict(state_dict=dict(a=torch.zeros(7 * 2**20))), tmp_path / 'large.pth')
    with pytest.raises(ValueError, match='14.0 MiB, the limit is 12 MiB'):
        publish.publish(str(tmp_path / 'large.pth'), str(tmp_path / 'out.pth'))
    assert not (tmp_path / 'out.pth').exists()
