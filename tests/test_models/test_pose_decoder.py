"""LMSFI pose decoder: against the paper's formulas, and prepared once against recomputed."""

import math

import pytest
import torch
import torch.nn.functional as F

from diffpose_mm.models import PoseDecoder
from diffpose_mm.models.pose_decoder import TimeEmbedding


def small_decoder(**kwargs):
    torch.manual_seed(0)
    options = dict(
        in_channels=12,
        num_keypoints=5,
        channels=(16, 12, 8),
        out_channels=8,
        time_dims=16,
        num_heads=2,
        num_groups=4,
    )
    decoder = PoseDecoder(**{**options, **kwargs})
    return decoder.eval()


def joined_weight(interaction):
    """The one kernel over concat(𝔽̄, 𝔽) that the two kept kernels stand for."""
    return torch.cat([interaction.map_looked_up.weight, interaction.map_feature.weight], dim=1)


def reference_decoder(decoder, x_t, feature, t):
    """Section 3.2 written out: nothing prepared, one map over each concatenation, Up last."""
    time = decoder.time_rescale
    half = time.time.frequencies.numel()
    frequencies = torch.tensor([10000.0 ** (-i / half) for i in range(half)])
    angles = t[:, None].float() * frequencies
    embedded = time.time.mlp(torch.cat([angles.sin(), angles.cos()], dim=1))
    scale, shift = time.scale_shift(F.silu(embedded)).chunk(2, dim=1)
    noisy_3 = F.silu(time.conv(x_t) * (1 + scale[:, :, None, None]) + shift[:, :, None, None])
    noisy_2 = decoder.down_mid(noisy_3)
    noisy_1 = decoder.down_low(noisy_2)
    feature_1 = decoder.lift_low(feature)
    feature_2 = decoder.lift_mid(feature_1)
    feature_3 = decoder.lift_high(feature_2)
    total = 0
    scales = zip(
        decoder.interactions,
        (noisy_1, noisy_2, noisy_3),
        (feature_1, feature_2, feature_3),
        (4, 2, 1),
    )
    for part, noisy, level, enlarge in scales:
        refined = part.refine_noisy(part.embed_noisy(noisy))
        if part.interaction == 'lookup':
            mask = 1 / (1 + torch.exp(-refined.max(dim=1, keepdim=True).values))
            left = mask * level
        else:
            left = refined
        padding = (part.map_feature.kernel_size[0] - 1) // 2
        joined = F.conv2d(
            torch.cat([left, level], dim=1),
            joined_weight(part),
            part.map_feature.bias,
            padding=padding,
        )
        refined = part.project(part.refine(joined))
        while enlarge > 1:
            refined = F.interpolate(refined, scale_factor=2, mode='bilinear', align_corners=False)
            enlarge //= 2
        total = total + refined
    return decoder.final_layer(total)


@pytest.mark.parametrize('interaction', ['lookup', 'concat'])
def test_prepared_path_equals_the_plain_formulas(interaction):
    """Broken if what is computed once for all steps and hypotheses were not the paper's LMSFI."""
    decoder = small_decoder(interaction=interaction)
    torch.nn.init.normal_(decoder.final_layer.weight, std=0.1)
    feature = torch.randn(2, 12, 4, 3)
    with torch.no_grad():
        prepared = decoder.prepare(feature)
        for step in (999, 500, 0):
            x_t = torch.randn(6, 5, 16, 12)
            t = torch.full((6,), step)
            plain = reference_decoder(decoder, x_t, feature.repeat_interleave(3, dim=0), t)
            cached = decoder.denoise(x_t, t, prepared)
            assert plain.abs().max() > 0.1
            torch.testing.assert_close(cached, plain, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(decoder(x_t, feature, t), plain, atol=1e-5, rtol=1e-5)


def test_lookup_lets_the_noisy_heatmaps_act_through_one_channel_only():
    """Broken if x_t reached the output by another way than the mask, as in the ablation."""
    decoder = small_decoder()
    feature, t = torch.randn(1, 12, 4, 3), torch.tensor([300])
    masks = []
    for part in decoder.interactions:
        part.mask = lambda noisy, size=masks: (
            size.append(noisy.shape),
            torch.full_like(noisy[:, :1], 0.3),
        )[1]
    with torch.no_grad():
        one = decoder(torch.randn(1, 5, 16, 12), feature, t)
        other = decoder(torch.randn(1, 5, 16, 12), feature, t)
    assert torch.equal(one, other)
    assert len(masks) == 6


@pytest.mark.parametrize('interaction', ['lookup', 'concat'])
def test_output_depends_on_noise_feature_and_step(interaction):
    """Broken if one of the three inputs of f(x_t, 𝔽, t) were ignored."""
    decoder = small_decoder(interaction=interaction)
    torch.nn.init.normal_(decoder.final_layer.weight, std=0.1)
    x_t, feature, t = torch.randn(1, 5, 16, 12), torch.randn(1, 12, 4, 3), torch.tensor([300])
    with torch.no_grad():
        base = decoder(x_t, feature, t)
        for changed in (
            decoder(x_t + 1, feature, t),
            decoder(x_t, feature + 1, t),
            decoder(x_t, feature, t + 500),
        ):
            assert (changed - base).abs().max() > 1e-4


def test_samples_do_not_see_their_batch():
    """Broken if a norm over the batch made a prediction depend on its neighbours."""
    decoder = small_decoder().train()
    x_t, feature = torch.randn(4, 5, 16, 12), torch.randn(4, 12, 4, 3)
    t = torch.tensor([10, 200, 600, 999])
    with torch.no_grad():
        whole = decoder(x_t, feature, t)
        for i in range(4):
            alone = decoder(x_t[i : i + 1], feature[i : i + 1], t[i : i + 1])
            torch.testing.assert_close(whole[i : i + 1], alone, atol=1e-5, rtol=1e-4)


def test_all_parameters_are_trained():
    """Broken if a branch were built and not used."""
    decoder = small_decoder()
    decoder(torch.randn(2, 5, 16, 12), torch.randn(2, 12, 4, 3), torch.tensor([5, 900])).pow(
        2
    ).sum().backward()
    unused = [name for name, p in decoder.named_parameters() if p.grad is None]
    assert unused == []


def test_time_embedding_is_the_sinusoid_of_the_transformer():
    """Broken if neighbouring steps could not be told apart."""
    embedding = TimeEmbedding(8)
    embedding.mlp = torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False))
    torch.nn.init.eye_(embedding.mlp[0].weight)
    out = embedding(torch.tensor([7])).detach()[0].tolist()
    expected = [math.sin(7 * 10000 ** (-i / 4)) for i in range(4)]
    expected += [math.cos(7 * 10000 ** (-i / 4)) for i in range(4)]
    assert out == pytest.approx(expected, abs=1e-5)


def test_wrong_sizes_and_names_are_refused():
    """Broken if a heatmap of another stride or an unknown interaction went through."""
    decoder = small_decoder()
    with pytest.raises(ValueError, match='four times as large'):
        decoder(torch.randn(1, 5, 8, 6), torch.randn(1, 12, 4, 3), torch.tensor([5]))
    with pytest.raises(ValueError, match="'lookup' or 'concat'"):
        small_decoder(interaction='add')
    with pytest.raises(ValueError, match='strides'):
        small_decoder(channels=(16, 8))
