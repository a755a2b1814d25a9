"""NoiseSchedule against closed forms and diffusers."""

import copy

import diffusers
import numpy as np
import pytest
import torch

from diffpose_mm.diffusion import NoiseSchedule


def cosine_alphas_cumprod(num_steps):
    """Equation 17 of arXiv 2102.09672 without the clip of the betas."""
    f = np.cos((np.arange(num_steps + 1) / num_steps + 0.008) / 1.008 * np.pi / 2) ** 2
    return f[1:] / f[0]


@pytest.mark.parametrize('num_steps', [10, 250, 1000])
def test_cosine_follows_its_closed_form_up_to_the_clipped_last_beta(num_steps):
    schedule = NoiseSchedule(num_steps, 'cosine')
    expected = cosine_alphas_cumprod(num_steps)
    np.testing.assert_allclose(schedule.alphas_cumprod[:-1], expected[:-1], rtol=1e-9)
    assert schedule.betas[-1] == 0.999
    np.testing.assert_allclose(schedule.alphas_cumprod[-1], expected[-2] * 1e-3, rtol=1e-9)


def test_linear_is_the_product_of_ddpms_betas():
    schedule = NoiseSchedule(1000, 'linear')
    betas = 1e-4 + np.arange(1000) / 999 * (0.02 - 1e-4)
    np.testing.assert_allclose(schedule.betas, betas, rtol=1e-12)
    np.testing.assert_allclose(
        schedule.alphas_cumprod, np.exp(np.cumsum(np.log1p(-betas))), rtol=1e-11
    )


@pytest.mark.parametrize('kind, name', [('cosine', 'squaredcos_cap_v2'), ('linear', 'linear')])
@pytest.mark.parametrize('num_steps', [1, 17, 1000])
def test_tables_equal_those_of_diffusers(kind, name, num_steps):
    reference = diffusers.DDIMScheduler(num_steps, beta_schedule=name)
    schedule = NoiseSchedule(num_steps, kind)
    np.testing.assert_allclose(schedule.betas, reference.betas, atol=1e-6)
    np.testing.assert_allclose(schedule.alphas_cumprod, reference.alphas_cumprod, atol=1e-6)


@pytest.mark.parametrize('kind', ['cosine', 'linear'])
def test_signal_only_ever_decreases_and_ends_as_noise(kind):
    alphas_cumprod = NoiseSchedule(1000, kind).alphas_cumprod
    assert (alphas_cumprod.diff() < 0).all()
    assert alphas_cumprod[0] > 0.999
    assert 0 < alphas_cumprod[-1] < 1e-4


def test_tables_stay_out_of_checkpoints_and_parameters():
    schedule = NoiseSchedule()
    assert not schedule.state_dict() and not list(schedule.parameters())
    assert {name for name, _ in schedule.named_buffers()} == {'betas', 'alphas_cumprod'}
    assert 'num_steps=1000' in repr(schedule) and 'cosine' in repr(schedule)


@pytest.mark.parametrize('cast', ['half', 'float', 'bfloat16'])
def test_casting_the_model_leaves_the_tables_exact(cast):
    schedule = NoiseSchedule()
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), copy.deepcopy(schedule))
    model = getattr(model, cast)()
    assert model[0].weight.dtype != torch.float64
    assert torch.equal(model[1].alphas_cumprod, schedule.alphas_cumprod)
    assert model[1].alphas_cumprod.dtype == torch.float64
    assert model.to('meta')[1].betas.device.type == 'meta'


@pytest.mark.parametrize('kind', ['cosine', 'linear'])
@pytest.mark.parametrize('t', [0, 300, 700, 999])
def test_noisy_samples_have_the_moments_of_q(kind, t):
    schedule = NoiseSchedule(1000, kind)
    generator = torch.Generator().manual_seed(t)
    noise = torch.randn(4, 200_000, generator=generator, dtype=torch.float64)
    x0 = torch.tensor([-0.5, 0.0, 0.3, 0.5], dtype=torch.float64)[:, None].expand_as(noise)
    x_t = schedule.add_noise(x0, noise, torch.full((4,), t))
    a = (
        cosine_alphas_cumprod(1000)[t]
        if kind == 'cosine'
        else np.prod(1 - np.linspace(1e-4, 0.02, 1000)[: t + 1])
    )
    std = np.sqrt(1 - a)
    np.testing.assert_allclose(x_t.mean(1), np.sqrt(a) * x0[:, 0], atol=5 * std / 200_000**0.5)
    np.testing.assert_allclose(x_t.std(1), std, rtol=0.01)


def test_each_sample_gets_the_noise_of_its_own_step():
    schedule = NoiseSchedule()
    x0, noise = torch.randn(2, 5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0, 999, 1, 500, 500])
    together = schedule.add_noise(x0, noise, t)
    for i in range(5):
        alone = schedule.add_noise(x0[i : i + 1], noise[i : i + 1], t[i : i + 1])
        assert torch.equal(alone[0], together[i])
    reference = diffusers.DDIMScheduler(1000, beta_schedule='squaredcos_cap_v2')
    torch.testing.assert_close(
        together.double(), reference.add_noise(x0.double(), noise.double(), t), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_noisy_samples_keep_the_dtype_and_are_finite_at_both_ends(dtype):
    x0 = torch.full((2, 3, 4), 0.5, dtype=dtype)
    x_t = NoiseSchedule().add_noise(x0, torch.ones_like(x0), torch.tensor([0, 999]))
    assert x_t.dtype == dtype
    expected = torch.tensor([0.5 + 0.0064, 1.0])
    torch.testing.assert_close(x_t[:, 0, 0].float(), expected, atol=5e-3, rtol=0)


@pytest.mark.parametrize('num_steps', [0, -5, 2.5, True, None])
def test_a_bad_length_is_named(num_steps):
    with pytest.raises(ValueError, match='num_steps=.*must be an integer'):
        NoiseSchedule(num_steps)


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(ValueError, match=r"kind='sigmoid' is unknown.*'cosine', 'linear'"):
        NoiseSchedule(kind='sigmoid')


@pytest.mark.parametrize(
    'noise_shape, t, match',
    [
        ((2, 3, 5), [1, 2], r'noise has shape \(2, 3, 5\) but x0 \(2, 3, 4\)'),
        ((2, 3, 4), [1], r't is torch.int64 of shape \(1,\)'),
        ((2, 3, 4), [0.1, 0.2], r't is torch.float32'),
        ((2, 3, 4), [0, 1000], r't runs from 0 to 1000 .* steps 0 to 999'),
        ((2, 3, 4), [-1, 3], r't runs from -1 to 3'),
    ],
)
def test_add_noise_names_what_does_not_fit(noise_shape, t, match):
    with pytest.raises(ValueError, match=match):
        NoiseSchedule().add_noise(torch.zeros(2, 3, 4), torch.zeros(noise_shape), torch.tensor(t))
