"""The model of mmpose that weights of ViTPose are for, as a config and run."""

from collections.abc import Mapping
from typing import Any

import torch
from mmpose.registry import MODELS

from ..weights import Architecture, WeightsError


def vitpose_config(architecture: Architecture) -> dict:
    """Config of a backbone, a neck where the head is simple, and a head, as mmpose's configs have.

    Args:
        architecture: Of weights, with known heads and grid; a missing head is left out.

    Raises:
        WeightsError: The heads or the grid are not known.
    """
    size = architecture.input_size
    if architecture.num_heads is None or size is None:
        lacking = 'number of heads' if architecture.num_heads is None else 'input size'
        raise WeightsError(f'nothing says the {lacking} of {architecture.name}')
    width, height = size
    config: dict[str, Any] = dict(
        backbone=dict(
            type='ClipVisionTransformer',
            arch=dict(
                embed_dims=architecture.embed_dims,
                num_layers=architecture.depth,
                num_heads=architecture.num_heads,
                feedforward_channels=architecture.feedforward,
            ),
            img_size=(height, width),
            patch_size=architecture.patch_size,
            qkv_bias=True,
            with_cls_token=False,
            out_type='featmap',
            patch_cfg=dict(padding=2),
        )
    )
    if architecture.head is None:
        return config
    config['head'] = dict(
        type='HeatmapHead',
        in_channels=architecture.embed_dims,
        out_channels=architecture.keypoints,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
    )
    if architecture.head == 'classic':
        config['head'] |= dict(deconv_out_channels=(256, 256), deconv_kernel_sizes=(4, 4))
    else:
        config['neck'] = dict(type='FeatureMapProcessor', scale_factor=4.0, apply_relu=True)
        config['head'] |= dict(
            deconv_out_channels=[],
            deconv_kernel_sizes=[],
            final_layer=dict(kernel_size=3, padding=1),
        )
    return config


def run_vitpose(
    state: Mapping[str, torch.Tensor], architecture: Architecture, pixels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Features and heatmaps that mmpretrain's and mmpose's modules compute of weights.

    Args:
        state: In mmpose's naming, with the prefix 'backbone.'; all of it is loaded, or it is an
            error.
        architecture: Of ``state``.
        pixels: Shape (N, 3, H, W), normalised, of the input size.

    Returns:
        Features (N, C, H / patch, W / patch); heatmaps (N, K, H / 4, W / 4), None without a head.

    Raises:
        WeightsError: See :func:`vitpose_config`.
        RuntimeError: ``state`` has other names or shapes than the model.
    """
    config = vitpose_config(architecture)
    model = torch.nn.ModuleDict({name: MODELS.build(part) for name, part in config.items()})
    if 'neck' in config:
        state = {**state, **{f'neck.{k}': v for k, v in model['neck'].state_dict().items()}}
    model.load_state_dict(dict(state))
    model.eval()
    with torch.no_grad():
        features = model['backbone'](pixels)
        if 'head' not in config:
            return features[-1], None
        taken = model['neck'](features) if 'neck' in config else features
        return features[-1], model['head'](taken)
