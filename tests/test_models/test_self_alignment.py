"""Training on own predictions: what is noised, to which steps, and without which gradients."""

import pytest
import torch
from torch import nn

from diffpose_mm.codecs import DiffusionHeatmap
from diffpose_mm.diffusion import NoiseSchedule
from diffpose_mm.models.self_alignment import SelfAlignment

LIMIT = 0.5


class Head(nn.Module):
    """What self alignment needs of a head: it answers with a tenth of the noise."""

    def __init__(self):
        super().__init__()
        self.schedule = NoiseSchedule()
        self.decoder = DiffusionHeatmap((48, 64), (12, 16), signal_scale=LIMIT)
        self.weight = nn.Parameter(torch.tensor(0.1))
        self.calls = []

    def pose_decoder(self, x_t, feature, t):
        self.calls.append((x_t, feature, t))
        return self.weight * x_t


def batch(samples, draws):
    torch.manual_seed(0)
    x0, noise = torch.randn(2, samples * draws, 3, 16, 12).clamp(-LIMIT, LIMIT)
    t = torch.randint(1000, (samples * draws,))
    return x0, t, noise, torch.randn(samples, 8, 4, 3)


@pytest.mark.parametrize('draws', [1, 3])
def test_a_share_of_the_samples_is_the_models_own_answer(draws):
    """Broken if the truth were noised all the same, or all draws of a sample were not alike."""
    head, (x0, t, noise, feature) = Head(), batch(8, draws)
    mixed, steps = SelfAlignment(0.25)(head, x0, t, noise, feature)
    ((x_t, seen, last),) = head.calls
    count = 2 * draws
    assert len(x_t) == len(last) == count and torch.equal(seen, feature[:2])
    assert (last == 999).all(), 'its own answer is that of the first step'
    assert not torch.equal(x_t, noise[:count]), 'sampling starts from other noise than is added'
    own = ((0.1 * x_t * 2 - 1) * LIMIT).clamp(-LIMIT, LIMIT)
    torch.testing.assert_close(mixed[:count], own)
    torch.testing.assert_close(mixed[count:], x0[count:])
    assert torch.equal(steps, t), 'without a range steps are as drawn'
    assert not mixed.requires_grad, 'the first step would be trained through the second'


def test_steps_of_own_answers_are_uniform_in_their_range():
    """Broken if own answers were noised to steps that sampling from them never visits."""
    head, (x0, _, noise, feature) = Head(), batch(20, 1)
    t = torch.arange(20) * 50
    _, steps = SelfAlignment(0.5, (100, 199))(head, x0, t, noise, feature)
    assert torch.equal(steps[:10], 100 + torch.arange(10) * 5)
    assert torch.equal(steps[10:], t[10:])
    _, ends = SelfAlignment(1.0, (100, 199))(head, x0, torch.tensor([0, 999] * 10), noise, feature)
    assert ends.min() == 100 and ends.max() == 199


@pytest.mark.parametrize(
    'settings, match',
    [
        (dict(share=0), 'share'),
        (dict(share=1.5), 'share'),
        (dict(share=0.5, steps=(5, 2)), 'ascending'),
        (dict(share=0.5, steps=(5,)), 'ascending'),
    ],
)
def test_settings_out_of_range_are_named(settings, match):
    """Broken if a mistyped field trained on something else without a word."""
    with pytest.raises(ValueError, match=f'self_aligned.*{match}'):
        SelfAlignment(**settings)


def test_steps_beyond_the_schedule_are_refused():
    """Broken if they were found out by an index error in the middle of a training."""
    head, (x0, t, noise, feature) = Head(), batch(4, 1)
    with pytest.raises(ValueError, match='0 to 999'):
        SelfAlignment(0.5, (0, 1000))(head, x0, t, noise, feature)
