"""STRL: shapes, order of operations, temporal and spatial position, resizing at load."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from diffpose_mm.models import SpatioTemporalNeck


def small_neck(**kwargs):
    options = dict(
        in_channels=12,
        feature_size=(3, 4),
        num_frames=5,
        embed_dims=16,
        num_layers=2,
        num_heads=4,
        out_channels=8,
    )
    torch.manual_seed(0)
    return SpatioTemporalNeck(**{**options, **kwargs}).eval()


def reference_strl(neck, feats):
    """Section 3.1 step by step with torch's own Transformer layers and a loop over frames."""
    tokens = []
    for frame in range(neck.num_frames):
        weight = neck.patch_embed.weight[:, :, 0, 0]
        embedded = torch.einsum('nchw,dc->nhwd', feats[:, frame], weight) + neck.patch_embed.bias
        position = neck.position_embedding[frame].permute(1, 2, 0)
        tokens.append((embedded + position).flatten(1, 2))
    tokens = torch.cat(tokens, dim=1)
    for layer in neck.layers:
        dims, hidden = layer.ffn[0].in_features, layer.ffn[0].out_features
        twin = nn.TransformerEncoderLayer(
            dims,
            layer.attn.num_heads,
            hidden,
            dropout=0.0,
            activation=F.gelu,
            batch_first=True,
            norm_first=True,
        )
        twin.load_state_dict(
            {
                'self_attn.in_proj_weight': layer.attn.qkv.weight,
                'self_attn.in_proj_bias': layer.attn.qkv.bias,
                'self_attn.out_proj.weight': layer.attn.proj.weight,
                'self_attn.out_proj.bias': layer.attn.proj.bias,
                'linear1.weight': layer.ffn[0].weight,
                'linear1.bias': layer.ffn[0].bias,
                'linear2.weight': layer.ffn[2].weight,
                'linear2.bias': layer.ffn[2].bias,
                'norm1.weight': layer.norm1.weight,
                'norm1.bias': layer.norm1.bias,
                'norm2.weight': layer.norm2.weight,
                'norm2.bias': layer.norm2.bias,
            }
        )
        tokens = twin.train()(tokens)  # train mode: not the fused inference kernel
    tokens = neck.norm(tokens)
    width, height = neck.feature_size
    out = torch.empty(len(feats), neck.out_channels, height, width)
    for y in range(height):
        for x in range(width):
            place = y * width + x
            joined = torch.cat(
                [tokens[:, t * height * width + place] for t in range(neck.num_frames)], dim=1
            )
            out[:, :, y, x] = neck.aggregate(joined)
    return out


def test_forward_is_section_3_1_step_by_step():
    """Broken if tokens, positions or frames were mixed up on their way through the neck."""
    neck = small_neck()
    feats = torch.randn(2, 5, 12, 4, 3)
    with torch.no_grad():
        torch.testing.assert_close(neck(feats), reference_strl(neck, feats), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('frames', [1, 2, 3, 7])
def test_any_number_of_frames(frames):
    """Broken if some T other than the paper's were built in; T=1 is the single-frame ablation."""
    neck = small_neck(num_frames=frames)
    assert neck(torch.randn(2, frames, 12, 4, 3)).shape == (2, 8, 4, 3)


def test_frame_order_matters():
    """Broken if frames shared one position embedding: reversed time would look the same."""
    neck = small_neck()
    feats = torch.randn(1, 5, 12, 4, 3)
    with torch.no_grad():
        assert (neck(feats) - neck(feats.flip(1))).abs().max() > 1e-3


def test_every_frame_reaches_every_location():
    """Broken if attention stayed within a frame or a location."""
    neck = small_neck()
    feats = torch.randn(1, 5, 12, 4, 3, requires_grad=True)
    neck(feats)[0, :, 0, 0].sum().backward()
    assert (feats.grad.abs().sum(dim=2) > 0).all()


def test_position_embedding_is_resized_when_the_input_size_changes():
    """Broken if weights trained at 256x192 could not be fine-tuned at 384x288."""
    small, large = small_neck(), small_neck(feature_size=(6, 8))
    with torch.no_grad():
        columns = torch.linspace(-1, 1, 3).expand(5, 16, 4, 3)
        small.position_embedding.copy_(columns)
    large.load_state_dict(small.state_dict())
    resized = large.position_embedding.detach()
    assert resized.shape == (5, 16, 8, 6)
    # A ramp over columns stays one: monotone over x, constant over y, the same in every frame.
    assert (resized.diff(dim=3) > 0).all()
    torch.testing.assert_close(resized, resized[:1, :1, :1].expand_as(resized))
    unchanged = small_neck()
    unchanged.load_state_dict(small.state_dict())
    assert torch.equal(unchanged.position_embedding, small.position_embedding)


def test_a_single_frame_neck_is_inflated_to_the_same_function_of_a_still_clip():
    """Broken if training over time could not start from a single-frame model's weights."""
    single, clip = small_neck(num_frames=1), small_neck()
    clip.load_state_dict(single.state_dict())
    feats = torch.randn(2, 1, 12, 4, 3)
    with torch.no_grad():
        expected = single(feats)
        # Attention over T equal copies of the tokens is attention over one of them.
        still = clip(feats.expand(-1, 5, -1, -1, -1))
        torch.testing.assert_close(still, expected, atol=1e-5, rtol=1e-4)
        moving = feats.repeat(1, 5, 1, 1, 1)
        moving[:, 0] += 1
        assert (clip(moving) - expected).abs().max() > 1e-4


@pytest.mark.parametrize('keyframe', [None, 0, 3, 4])
def test_inflated_weights_read_the_keyframe_wherever_it_stands(keyframe):
    """Broken if the MLP began with a neighbour: a causal clip has its keyframe at the end."""
    single, clip = small_neck(num_frames=1), small_neck(keyframe_index=keyframe)
    clip.load_state_dict(single.state_dict())
    place = 2 if keyframe is None else keyframe
    weight = clip.aggregate[0].weight.detach().unflatten(1, (5, 16))
    torch.testing.assert_close(weight[:, place], single.aggregate[0].weight.detach())
    assert not weight[:, [t for t in range(5) if t != place]].any()


def test_the_neck_tells_the_clip_length_of_a_checkpoint():
    """Broken if weights of one frame were tested as a model of clips: the neck inflates them."""
    weights = {f'some.name.{key}': value for key, value in small_neck().state_dict().items()}
    neck = small_neck(num_frames=1)
    assert neck.checkpoint_frames(weights, 'some.name.') == 5
    assert neck.checkpoint_frames(weights, 'neck.') is None


def test_checkpoint_of_another_clip_length_is_refused():
    """Broken if T=5 weights were loaded silently into a T=3 model."""
    with pytest.raises(ValueError, match='5 frames.*num_frames=3.*frame_offsets'):
        small_neck(num_frames=3).load_state_dict(small_neck().state_dict())


@pytest.mark.parametrize(
    'shape', [(2, 4, 12, 4, 3), (2, 5, 11, 4, 3), (2, 5, 12, 3, 4), (10, 12, 4, 3)]
)
def test_features_that_do_not_fit_are_named(shape):
    """Broken if a wrong T, width or stride ended in an error of torch without a hint."""
    with pytest.raises(ValueError, match='num_frames.*frame_offsets.*feature_size'):
        small_neck()(torch.randn(shape))


@pytest.mark.parametrize(
    'field', [dict(num_frames=0), dict(num_layers=0), dict(num_heads=3), dict(feature_size=(0, 4))]
)
def test_impossible_sizes_are_refused(field):
    """Broken if a config typo were found only when training starts."""
    with pytest.raises(ValueError, match=next(iter(field))):
        small_neck(**field)
