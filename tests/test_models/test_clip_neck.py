"""The contract of temporal necks: what the base class gives to a neck of a few lines."""

import pytest
import torch

from diffpose_mm.models import ClipNeck, SpatioTemporalNeck


class MeanNeck(ClipNeck):
    """The shortest neck there is."""

    def fuse(self, tokens):
        return tokens.mean(dim=1)


class DoubleNeck(MeanNeck):
    """One that does something to each frame alone."""

    def embed(self, feats):
        assert feats.dim() == 4, 'embed sees single frames'
        return 2 * feats


def test_a_neck_is_one_method():
    """Broken if a neck had to know more than how T maps become one."""
    neck = MeanNeck(in_channels=6, num_frames=3)
    feats = torch.randn(2, 3, 6, 4, 5)
    torch.testing.assert_close(neck(feats), (feats[:, 0] + feats[:, 1] + feats[:, 2]) / 3)
    assert (neck.num_frames, neck.keyframe_index, neck.out_channels) == (3, 1, 6)
    assert not list(neck.parameters()) and neck.checkpoint_frames({}, 'neck.') is None


@pytest.mark.parametrize('kind', [MeanNeck, DoubleNeck, SpatioTemporalNeck])
def test_forward_is_fuse_of_every_frame_embedded_alone(kind):
    """Broken if a stream, which embeds a frame once, could give another result than the clip."""
    torch.manual_seed(0)
    options = dict(in_channels=6, num_frames=3, feature_size=(5, 4))
    if kind is SpatioTemporalNeck:
        options.update(embed_dims=8, num_layers=1, num_heads=2)
    neck, feats = kind(**options).eval(), torch.randn(2, 3, 6, 4, 5)
    with torch.no_grad():
        tokens = torch.stack([neck.embed(feats[:, t]) for t in range(3)], dim=1)
        assert tokens.shape[3:] == (4, 5)
        torch.testing.assert_close(neck.fuse(tokens), neck(feats))


def test_fuse_has_to_be_implemented():
    with pytest.raises(NotImplementedError, match=r'ClipNeck has to implement fuse\(tokens\)'):
        ClipNeck(in_channels=6)(torch.randn(1, 5, 6, 4, 3))


@pytest.mark.parametrize(
    'field', [dict(in_channels=0), dict(num_frames=0), dict(feature_size=(3, 0))]
)
def test_impossible_numbers_are_named(field):
    with pytest.raises(ValueError, match=f'MeanNeck: {next(iter(field))} must be at least 1'):
        MeanNeck(**{'in_channels': 6, **field})


def test_a_size_of_one_number_is_named():
    with pytest.raises(ValueError, match=r'feature_size=\(3,\) must be \(width, height\)'):
        MeanNeck(in_channels=6, feature_size=(3,))


@pytest.mark.parametrize('index', [-1, 3])
def test_a_keyframe_outside_the_clip_is_named(index):
    with pytest.raises(ValueError, match=f'keyframe_index={index} is none of the 3 frames'):
        MeanNeck(in_channels=6, num_frames=3, keyframe_index=index)


@pytest.mark.parametrize('shape', [(2, 4, 6, 4, 5), (2, 3, 7, 4, 5), (6, 6, 4, 5)])
def test_features_that_do_not_fit_are_named(shape):
    """Broken if a neck of a few lines took clips of another length without a word."""
    with pytest.raises(ValueError, match='MeanNeck expects.*num_frames.*frame_offsets'):
        MeanNeck(in_channels=6, num_frames=3)(torch.randn(shape))


def test_the_size_is_checked_where_it_is_given():
    MeanNeck(6, num_frames=3)(torch.randn(1, 3, 6, 9, 9))
    with pytest.raises(ValueError, match=r'\(3, 6, 4, 5\), got \(1, 3, 6, 5, 4\)'):
        MeanNeck(6, num_frames=3, feature_size=(5, 4))(torch.randn(1, 3, 6, 5, 4))
