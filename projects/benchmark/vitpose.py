"""Single-frame ViTPose, as mmpose has it: what the benchmarks compare with."""

from mmengine.config import Config
from mmengine.dataset import Compose
from mmpose.registry import MODELS
from torch import nn


def vitpose_head(in_channels: int, out_channels: int) -> dict:
    """Config of the head of mmpose's td-hm_ViTPose: two deconvolutions of 256 channels."""
    return dict(
        type='HeatmapHead',
        in_channels=in_channels,
        out_channels=out_channels,
        deconv_out_channels=(256, 256),
        deconv_kernel_sizes=(4, 4),
    )


def build_vitpose(cfg: Config) -> tuple[nn.Module, Compose]:
    """Single-frame ViTPose as mmpose has it, with the backbone and input of a config.

    Returns:
        The model with random weights, without flip test, and its test pipeline.
    """
    codec = cfg.model.head.decoder
    sizes = dict(input_size=codec.input_size, heatmap_size=codec.heatmap_size)
    model = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(cfg.model.data_preprocessor, type='PoseDataPreprocessor'),
            backbone=dict(cfg.model.backbone, init_cfg=None),
            head=dict(
                vitpose_head(cfg.model.neck.in_channels, cfg.model.head.out_channels),
                decoder=dict(type='UDPHeatmap', sigma=codec.sigma, **sizes),
            ),
            test_cfg=dict(flip_test=False),
        )
    )
    own = cfg.test_dataloader.dataset.pipeline
    pipeline = Compose(
        [
            dict(type='LoadImage'),
            *(step for step in own if step.type in ('GetBBoxCenterScale', 'TopdownAffine')),
            dict(type='PackPoseInputs'),
        ]
    )
    return model.eval(), pipeline
