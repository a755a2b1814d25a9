"""Merges by queries: against torch's own attention, what a stream may keep, and their weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from diffpose_mm.models import JointQueryNeck, KeyframeQueryNeck

NECKS = {'keyframe': KeyframeQueryNeck, 'joint': JointQueryNeck}


def small_neck(kind, **kwargs):
    options = dict(
        in_channels=12,
        feature_size=(3, 4),
        num_frames=5,
        embed_dims=16,
        num_layers=2,
        num_heads=4,
        out_channels=8,
        **(dict(num_keypoints=6) if kind == 'joint' else {}),
    )
    torch.manual_seed(0)
    return NECKS[kind](**{**options, **kwargs}).eval()


def attention(layer, key_projection, value_projection):
    """torch's attention with the weights of a layer of queries and of its kept keys."""
    dims = layer.query.in_features
    twin = nn.MultiheadAttention(dims, layer.num_heads, batch_first=True)
    (key, key_bias), (value, value_bias) = key_projection, value_projection
    twin.load_state_dict(
        {
            'in_proj_weight': torch.cat((layer.query.weight, key, value)),
            'in_proj_bias': torch.cat((layer.query.bias, key_bias, value_bias)),
            'out_proj.weight': layer.proj.weight,
            'out_proj.bias': layer.proj.bias,
        }
    )
    return twin.train()  # not the fused inference kernel


def rows(linear, place, dims):
    """One of the projections that stand under each other in a Linear."""
    part = slice(place * dims, (place + 1) * dims)
    return linear.weight[part], linear.bias[part]


def tokens_of(neck, feats):
    """(N, T, H*W, D): patch embedding, location by location."""
    weight = neck.patch_embed.weight[:, :, 0, 0]
    embedded = torch.einsum('ntchw,dc->nthwd', feats, weight) + neck.patch_embed.bias
    return embedded.flatten(2, 3)


def queried(neck, layer, number, queries, tokens):
    """A layer of queries; the place is a bias of its logits, not a part of torch's keys."""
    dims, heads = queries.shape[2], layer.num_heads
    normed = F.layer_norm(tokens, (dims,), neck.kept_keys.norm.weight, neck.kept_keys.norm.bias)
    key, value = (rows(neck.kept_keys.project, 2 * number + i, dims) for i in (0, 1))
    asked = layer.norm1(queries)
    places = neck.position_embedding.flatten(2).transpose(1, 2).flatten(0, 1)
    split = (asked @ layer.query.weight.T + layer.query.bias).unflatten(2, (heads, -1))
    bias = torch.einsum('nqhd,lhd->nhql', split, places.unflatten(1, (heads, -1)))
    bias = bias.flatten(0, 1) / (dims // heads) ** 0.5
    twin = attention(layer, key, value)
    flat = normed.flatten(1, 2)
    queries = queries + twin(asked, flat, flat, attn_mask=bias, need_weights=False)[0]
    return queries + layer.ffn(layer.norm2(queries))


def reference(kind, neck, feats):
    """What the docstrings say, by torch's attention over tokens that nobody kept."""
    tokens = tokens_of(neck, feats)
    keyframe = neck.keyframe_index
    place = neck.position_embedding[keyframe].flatten(1).T
    queries = tokens[:, keyframe] + place
    if kind == 'joint':
        joints = neck.joint_queries.expand(len(feats), -1, -1)
        for number, layer in enumerate(neck.layers):
            joints = neck.among_joints[number](queried(neck, layer, number, joints, tokens))
        dims = joints.shape[2]
        answers = F.layer_norm(joints, (dims,), neck.answers[0].weight, neck.answers[0].bias)
        back = neck.put_back
        twin = attention(back, *(rows(neck.answers[1], i, dims) for i in (0, 1)))
        asked = back.norm1(queries)
        queries = queries + twin(asked, answers, answers, need_weights=False)[0]
        queries = queries + back.ffn(back.norm2(queries))
    else:
        for number, layer in enumerate(neck.layers):
            queries = queried(neck, layer, number, queries, tokens)
    merged = neck.aggregate(neck.norm(queries))
    width, height = neck.feature_size
    return merged.unflatten(1, (height, width)).permute(0, 3, 1, 2)


@pytest.mark.parametrize('keyframe', [None, 4])
@pytest.mark.parametrize('kind', NECKS)
def test_forward_is_attention_over_the_whole_clip(kind, keyframe):
    """Broken if keys, values, layers or places were packed one way and taken apart another."""
    neck = small_neck(kind, keyframe_index=keyframe)
    with torch.no_grad():
        neck.position_embedding.mul_(50)
        feats = torch.randn(2, 5, 12, 4, 3)
        torch.testing.assert_close(neck(feats), reference(kind, neck, feats), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('kind', NECKS)
def test_every_frame_is_read_and_their_order_counts(kind):
    """Broken if a merge of clips were one of the keyframe, or of a bag of frames."""
    neck = small_neck(kind)
    feats = torch.randn(1, 5, 12, 4, 3, requires_grad=True)
    neck(feats)[0, :, 0, 0].sum().backward()
    assert (feats.grad.abs().sum(dim=2) > 0).all()
    with torch.no_grad():
        turned = feats[:, [1, 0, 2, 4, 3]]
        assert (neck(feats) - neck(turned)).abs().max() > 1e-5


@pytest.mark.parametrize('kind', NECKS)
def test_a_single_frame_neck_is_inflated_to_the_same_function_of_a_still_clip(kind):
    """Broken if training over time could not start from a single-frame model's weights."""
    single, clip = small_neck(kind, num_frames=1), small_neck(kind)
    clip.load_state_dict(single.state_dict())
    feats = torch.randn(2, 1, 12, 4, 3)
    with torch.no_grad():
        still = clip(feats.expand(-1, 5, -1, -1, -1))
        torch.testing.assert_close(still, single(feats), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('kind', NECKS)
def test_weights_of_another_size_and_length(kind):
    """Broken if places were not resized, or weights of other clips were taken without a word."""
    small, large = small_neck(kind), small_neck(kind, feature_size=(6, 8))
    large.load_state_dict(small.state_dict())
    assert large.position_embedding.shape == (5, 16, 8, 6)
    assert small.checkpoint_frames(small.state_dict(), '') == 5
    with pytest.raises(ValueError, match='5 frames.*num_frames=3'):
        small_neck(kind, num_frames=3).load_state_dict(small.state_dict())


@pytest.mark.parametrize('field', [dict(num_layers=0), dict(num_heads=3), dict(num_frames=0)])
@pytest.mark.parametrize('kind', NECKS)
def test_impossible_sizes_are_refused(kind, field):
    """Broken if a config typo were found only when training starts."""
    with pytest.raises(ValueError, match=next(iter(field))):
        small_neck(kind, **field)


def test_no_joints_are_refused():
    """Broken if a merge by no query were a merge by none at all."""
    with pytest.raises(ValueError, match='num_keypoints'):
        small_neck('joint', num_keypoints=0)
