"""What the tests of the projects share: a config of the package with everything narrow."""

from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='session')
def small_config():
    """The real config with everything narrow: 64x48 input, a backbone of one layer."""
    cfg = Config.fromfile(ROOT / 'configs/diffpose_posetrack18.py')
    codec = dict(cfg.codec, input_size=(48, 64), heatmap_size=(12, 16))
    cfg.model.backbone.update(
        arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=64),
        img_size=(64, 48),
    )
    cfg.merge_from_dict(
        dict(
            model=dict(
                neck=dict(
                    in_channels=32,
                    out_channels=24,
                    feature_size=(3, 4),
                    num_frames=3,
                    embed_dims=16,
                    num_layers=1,
                    num_heads=2,
                ),
                head=dict(in_channels=24, decoder=codec),
                test_cfg=dict(sampling_steps=2, num_hypotheses=1),
            )
        )
    )
    cfg.model.head.pose_decoder = dict(
        type='PoseDecoder', channels=(32, 16, 8), out_channels=8, time_dims=16
    )
    return cfg
