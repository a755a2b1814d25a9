"""Weights of ViTPose load at other input sizes."""

import pytest
import torch
from mmpose.registry import MODELS

from diffpose_mm.models.clip_vision_transformer import patch_grid

ARCH = dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16)


def build(img_size, kind='ClipVisionTransformer', **kwargs):
    cfg = dict(
        type=kind,
        arch=ARCH,
        img_size=img_size,
        patch_size=16,
        qkv_bias=True,
        with_cls_token=False,
        out_type='featmap',
        patch_cfg=dict(padding=2),
    )
    return MODELS.build({**cfg, **kwargs})


def test_weights_of_another_input_size_load():
    """Broken if 384x288 cannot start from the weights for 256x192, as with mmpretrain's class."""
    torch.manual_seed(0)
    small, large = build((256, 192)), build((384, 288))
    # A position embedding that is linear in the location stays so when it is resized.
    ys, xs = torch.meshgrid(torch.arange(16.0), torch.arange(12.0), indexing='ij')
    small.pos_embed.data[:] = (ys + 100 * xs).flatten()[None, :, None]
    large.load_state_dict(small.state_dict())
    grid = large.pos_embed.data.view(24, 18, 16)[2:-2, 2:-2, 0]
    rows = (torch.arange(24.0) + 0.5) * 16 / 24 - 0.5
    columns = (torch.arange(18.0) + 0.5) * 12 / 18 - 0.5
    expected = (rows[:, None] + 100 * columns)[2:-2, 2:-2]
    torch.testing.assert_close(grid, expected, rtol=0, atol=8)
    assert large(torch.zeros(1, 3, 384, 288))[0].shape == (1, 16, 24, 18)
    with pytest.raises(AssertionError):
        build((384, 288), 'mmpretrain.VisionTransformer').load_state_dict(small.state_dict())


def test_same_as_mmpretrain():
    """Broken if the output, or weights of the same size, are changed."""
    torch.manual_seed(0)
    ours, theirs = build((64, 48)), build((64, 48), 'mmpretrain.VisionTransformer')
    theirs.init_weights()
    ours.load_state_dict(theirs.state_dict())
    ours.eval()
    theirs.eval()
    images = torch.randn(2, 3, 64, 48)
    torch.testing.assert_close(ours(images)[0], theirs(images)[0])


def test_square_and_class_token_weights_load():
    """Weights of an image classifier or of MAE: a square grid, with a class token before it."""
    square = build((64, 64), with_cls_token=True, out_type='cls_token').state_dict()
    square.pop('cls_token')
    own = build((64, 48), patch_cfg={})
    square['pos_embed'] = square['pos_embed'][:, 1:]
    own.load_state_dict(square, strict=False)
    equal = build((64, 48), patch_cfg={}, with_cls_token=True, out_type='cls_token').state_dict()
    own.load_state_dict(equal, strict=False)
    torch.testing.assert_close(own.pos_embed.data, equal['pos_embed'][:, 1:])


@pytest.mark.parametrize('size', [(64, 48), (128, 96)])
def test_an_entry_without_a_class_token_is_added(size):
    """Broken if ViTAE's position embedding lost what it adds to every patch: off by a sixth."""
    weights = build((64, 48)).state_dict()
    torch.manual_seed(0)
    loaded = torch.randn(1, 13, 16)
    own, folded = build(size), build(size)
    own.load_state_dict(weights | dict(pos_embed=loaded))
    folded.load_state_dict(weights | dict(pos_embed=loaded[:, 1:] + loaded[:, :1]))
    torch.testing.assert_close(own.pos_embed.data, folded.pos_embed.data)
    assert (own.pos_embed.data - build(size).pos_embed.data).abs().max() > 0.1


@pytest.mark.parametrize(
    'patches, like, grid',
    [(192, (24, 18), (16, 12)), (432, (16, 12), (24, 18)), (196, (16, 12), (14, 14))],
)
def test_patch_grid(patches, like, grid):
    assert patch_grid(patches, like) == grid


def test_patch_grid_unknown():
    with pytest.raises(ValueError, match='190 patches.*16x12'):
        patch_grid(190, (16, 12))
