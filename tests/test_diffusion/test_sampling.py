"""Samplers against diffusers' schedulers, a solvable distribution and their own promises."""

import ast
import os
import subprocess
import sys

import diffusers
import numpy as np
import pytest
import torch

from diffpose_mm import diffusion
from diffpose_mm.diffusion import (
    SAMPLERS,
    NoiseSchedule,
    ddim_sample,
    ddim_timesteps,
    dpmpp_2m_sample,
)

BETA_SCHEDULES = {'cosine': 'squaredcos_cap_v2', 'linear': 'linear'}


def denoiser(shape, dtype=torch.float32):
    """Make a smooth stand-in for the network that depends on x_t and t and leaves [-0.5, 0.5]."""
    goal = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)

    def denoise(x_t, t):
        t = t.view(-1, *(1,) * (x_t.ndim - 1)) / 1000
        return 0.8 * torch.tanh(goal + 0.3 * t.to(x_t.dtype) * x_t)

    return denoise


def diffusers_scheduler(kind, clip, exact):
    scheduler = diffusers.DDIMScheduler(
        1000,
        beta_schedule=BETA_SCHEDULES[kind],
        prediction_type='sample',
        timestep_spacing='trailing',
        set_alpha_to_one=True,
        clip_sample=clip is not None,
        clip_sample_range=clip or 1.0,
    )
    if exact:
        # Its float32 tables alone are off by 1e-5; lift them so that only the algorithm is left.
        if kind == 'cosine':
            f = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
            betas = np.minimum(1 - f[1:] / f[:-1], 0.999)
        else:
            betas = np.linspace(1e-4, 0.02, 1000)
        scheduler.alphas_cumprod = torch.from_numpy(np.cumprod(1 - betas))
        scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    return scheduler


def diffusers_sample(scheduler, denoise, noise, steps, eta, seed):
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(seed)
    x = noise
    for t in scheduler.timesteps:
        x0 = denoise(x, t.repeat(len(x)))
        x = scheduler.step(x0, t, x, eta=eta, generator=generator).prev_sample
    return x


def start(shape=(3, 2, 8, 6), dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize('kind', ['cosine', 'linear'])
@pytest.mark.parametrize('clip', [None, 0.5])
@pytest.mark.parametrize('eta', [0.0, 0.5, 1.0])
@pytest.mark.parametrize('steps', [1, 2, 3, 4, 7, 50, 1000])
def test_sampling_is_the_algorithm_of_diffusers(kind, clip, eta, steps):
    """The same steps, clipping and random draws, to 1e-6."""
    noise = start(dtype=torch.float64)
    denoise = denoiser(noise.shape, torch.float64)
    ours = ddim_sample(
        denoise,
        noise,
        NoiseSchedule(1000, kind),
        steps,
        eta,
        clip,
        torch.Generator().manual_seed(2),
    )
    scheduler = diffusers_scheduler(kind, clip, exact=True)
    theirs = diffusers_sample(scheduler, denoise, noise, steps, eta, seed=2)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize('kind', ['cosine', 'linear'])
@pytest.mark.parametrize('steps', [1, 2, 4, 5, 10, 50, 250, 1000])
def test_sampling_equals_diffusers_as_shipped(kind, steps):
    """In float32 and with diffusers' own float32 tables."""
    noise = start()
    denoise = denoiser(noise.shape)
    ours = ddim_sample(denoise, noise, NoiseSchedule(1000, kind), steps, clip=0.5)
    scheduler = diffusers_scheduler(kind, 0.5, exact=False)
    theirs = diffusers_sample(scheduler, denoise, noise, steps, 0.0, seed=0)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize('kind', ['cosine', 'linear'])
@pytest.mark.parametrize('clip', [None, 0.5])
@pytest.mark.parametrize('steps', [1, 2, 3, 4, 7, 20, 50, 250])
def test_dpmpp_2m_is_the_algorithm_of_diffusers(kind, clip, steps):
    """The same orders, steps and extrapolation; diffusers keeps its sigmas in float32."""
    noise = start(dtype=torch.float64)
    denoise = denoiser(noise.shape, torch.float64)
    ours = dpmpp_2m_sample(denoise, noise, NoiseSchedule(1000, kind), steps, clip)
    scheduler = diffusers.DPMSolverMultistepScheduler(
        1000,
        beta_schedule=BETA_SCHEDULES[kind],
        algorithm_type='dpmsolver++',
        solver_order=2,
        prediction_type='sample',
        timestep_spacing='trailing',
        final_sigmas_type='zero',
    )
    scheduler.alphas_cumprod = NoiseSchedule(1000, kind).alphas_cumprod
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps.tolist() == ddim_timesteps(1000, steps).tolist()
    x = noise
    for t in scheduler.timesteps:
        x0 = denoise(x, t.repeat(len(x)))
        x = scheduler.step(x0 if clip is None else x0.clamp(-clip, clip), t, x).prev_sample
    torch.testing.assert_close(ours, x, atol=2e-5, rtol=0)


@pytest.mark.parametrize('kind', ['cosine', 'linear'])
def test_dpmpp_2m_is_of_second_order_and_ddim_of_first(kind):
    """Against the flow of Gaussian data, which is known: twice the steps, a quarter of the error.

    Looked at where both arrive before the last step, which is the same for them.
    """
    schedule, mean, std = NoiseSchedule(1000, kind), 0.2, 0.35

    def posterior_mean(x_t, t):
        a = schedule.alphas_cumprod[t].view(-1, 1)
        return mean + a.sqrt() * std**2 * (x_t - a.sqrt() * mean) / (a * std**2 + 1 - a)

    def standardised(x_t, t):
        a = schedule.alphas_cumprod[t]
        return (x_t - a.sqrt() * mean) / (a * std**2 + 1 - a).sqrt()

    noise = start((1, 1000), torch.float64)

    def error(sampler, steps):
        seen = []
        sampler(posterior_mean, noise, schedule, steps, callback=lambda *args: seen.append(args))
        arrived = next(x for _, t, x, _ in seen if t == 199)
        # Along the flow this number of a sample does not change.
        return (standardised(arrived, 199) - standardised(noise, 999)).std().item()

    ddim = [error(ddim_sample, steps) for steps in (20, 40)]
    dpmpp = [error(dpmpp_2m_sample, steps) for steps in (20, 40)]
    assert 1.7 < ddim[0] / ddim[1] < 2.3
    assert 3.2 < dpmpp[0] / dpmpp[1] < 5
    assert dpmpp[0] < ddim[0] / 4


@pytest.mark.parametrize('name', SAMPLERS)
def test_every_sampler_of_the_table_keeps_the_promises_of_all(name):
    """Broken if a sampler in the table could not stand in for another one."""
    sampler, noise, schedule, seen = SAMPLERS[name], start(), NoiseSchedule(), []
    one = sampler(lambda x, t: 0.1 * x, noise, schedule, 1)
    torch.testing.assert_close(one, 0.1 * noise, atol=1e-7, rtol=0)
    sample = sampler(
        lambda x, t: 3 * torch.tanh(x).double(),
        noise,
        schedule,
        4,
        clip=0.5,
        generator=[torch.Generator() for _ in noise],
        callback=lambda *args: seen.append(args),
    )
    assert sample.dtype == noise.dtype and sample.isfinite().all() and sample.abs().max() <= 0.51
    assert [(i, t) for i, t, *_ in seen] == [(0, 999), (1, 749), (2, 499), (3, 249)]
    assert torch.equal(seen[0][2], noise)
    assert all(x0.abs().max() <= 0.5 for *_, x0 in seen)
    for kwargs, match in (
        ({'steps': 0}, 'steps=0'),
        ({'steps': 1001}, 'steps=1001 is more than'),
        ({'steps': 4, 'clip': 0.0}, 'clip=0.0'),
    ):
        with pytest.raises(ValueError, match=match):
            sampler(lambda x, t: x, noise, schedule, **kwargs)
    with pytest.raises(ValueError, match='denoise returned shape'):
        sampler(lambda x, t: x[:, :1], noise, schedule, 4)


def test_timesteps_equal_diffusers_for_every_number_of_steps():
    scheduler = diffusers.DDIMScheduler(1000, timestep_spacing='trailing')
    for steps in range(1, 1001):
        scheduler.set_timesteps(steps)
        # Rounding makes diffusers append a step -1 for some numbers of steps, e.g. 61.
        assert torch.equal(ddim_timesteps(1000, steps), scheduler.timesteps[:steps]), steps


@pytest.mark.parametrize('num_steps', [1, 2, 13, 100, 1000])
def test_timesteps_start_at_pure_noise_and_descend(num_steps):
    for steps in range(1, num_steps + 1):
        timesteps = ddim_timesteps(num_steps, steps)
        assert timesteps.dtype == torch.int64 and timesteps.shape == (steps,)
        assert timesteps[0] == num_steps - 1 and timesteps[-1] >= 0
        assert (timesteps.diff() < 0).all()


def test_one_step_is_one_answer_of_the_network_at_pure_noise():
    noise = start()
    calls = []

    def denoise(x_t, t):
        calls.append((x_t, t))
        return 0.1 * x_t

    sample = ddim_sample(denoise, noise, NoiseSchedule(), 1)
    torch.testing.assert_close(sample, 0.1 * noise, atol=1e-7, rtol=0)
    assert len(calls) == 1 and torch.equal(calls[0][0], noise)
    assert calls[0][1].dtype == torch.int64 and calls[0][1].tolist() == [999] * 3


@pytest.mark.parametrize('kind', ['cosine', 'linear'])
@pytest.mark.parametrize('eta', [0.0, 1.0])
def test_many_steps_draw_from_the_data_distribution(kind, eta):
    """With the exact E[x0 | x_t] of Gaussian data the samples have the mean and std of the data."""
    schedule = NoiseSchedule(1000, kind)
    mean, std = 0.2, 0.35

    def posterior_mean(x_t, t):
        a = schedule.alphas_cumprod[t].view(-1, 1)
        return mean + a.sqrt() * std**2 * (x_t - a.sqrt() * mean) / (a * std**2 + 1 - a)

    noise = start((1, 20_000), torch.float64)
    generator = torch.Generator().manual_seed(3)
    sample = ddim_sample(posterior_mean, noise, schedule, 1000, eta, generator=generator)
    assert abs(sample.mean() - mean) < 0.01
    assert abs(sample.std() / std - 1) < 0.03
    regression = ddim_sample(posterior_mean, noise, schedule, 1, eta, generator=generator)
    assert regression.std() < 0.01


def test_a_generator_a_sample_makes_it_independent_of_its_batch():
    noise = start((5, 2, 4, 4))
    schedule = NoiseSchedule()

    def sample(order):
        generators = [torch.Generator().manual_seed(100 + i) for i in order]
        return ddim_sample(
            lambda x, t: 0.5 * torch.tanh(x), noise[order], schedule, 6, 1.0, 0.5, generators
        )

    together = sample([0, 1, 2, 3, 4])
    assert torch.equal(sample([4, 2, 0, 1, 3]), together[[4, 2, 0, 1, 3]])
    for i in range(5):
        assert torch.equal(sample([i])[0], together[i])


def test_fresh_noise_comes_from_the_generator_alone():
    noise, schedule = start(), NoiseSchedule()

    def sample(eta, generator=None):
        return ddim_sample(lambda x, t: 0.1 * x, noise, schedule, 4, eta, generator=generator)

    before = torch.get_rng_state()
    one = sample(1.0, torch.Generator().manual_seed(0))
    assert torch.equal(one, sample(1.0, torch.Generator().manual_seed(0)))
    assert not torch.equal(one, sample(1.0, torch.Generator().manual_seed(1)))
    assert torch.equal(sample(0.0), sample(0.0))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(sample(1.0), sample(1.0))


def test_callback_sees_each_state_and_its_clamped_prediction():
    noise, seen = start(), []
    ddim_sample(
        lambda x, t: 3 * x,
        noise,
        NoiseSchedule(),
        5,
        clip=0.5,
        callback=lambda *args: seen.append(args),
    )
    assert [i for i, *_ in seen] == [0, 1, 2, 3, 4]
    assert [t for _, t, *_ in seen] == [999, 799, 599, 399, 199]
    assert torch.equal(seen[0][2], noise)
    for _, _, x_t, x0 in seen:
        assert torch.equal(x0, (3 * x_t).clamp(-0.5, 0.5))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize('steps', [1, 4, 1000])
def test_the_dtype_is_kept_and_nothing_overflows(dtype, steps):
    noise = start(dtype=dtype)
    sample = ddim_sample(
        lambda x, t: torch.tanh(x.float()),
        noise,
        NoiseSchedule(),
        steps,
        1.0,
        0.5,
        torch.Generator().manual_seed(0),
    )
    assert sample.dtype == dtype and sample.isfinite().all()
    assert sample.abs().max() <= 0.51


@pytest.mark.parametrize(
    'kwargs, match',
    [
        ({'steps': 0}, 'steps=0 must be an integer of at least 1'),
        ({'steps': 1.5}, 'steps=1.5 must be an integer'),
        ({'steps': 1001}, 'steps=1001 is more than the 1000 steps of the noise schedule'),
        ({'eta': -0.1}, r'eta=-0.1 must lie in \[0, 1\]'),
        ({'eta': 1.5}, r'eta=1.5 must lie in \[0, 1\]'),
        ({'clip': 0.0}, 'clip=0.0 must be positive'),
        ({'generator': [torch.Generator()] * 2}, 'sequence of 2 for a batch of 3'),
        ({'denoise': lambda x, t: x[:, :1]}, r'denoise returned shape \(3, 1, 8, 6\)'),
    ],
)
def test_a_bad_argument_is_named(kwargs, match):
    arguments = {'denoise': lambda x, t: x, 'noise': start(), 'schedule': NoiseSchedule()}
    with pytest.raises(ValueError, match=match):
        ddim_sample(**{**arguments, 'steps': 4, **kwargs})


def test_the_package_needs_nothing_but_torch():
    """It stays a piece that can be read, moved and tested without mmpose."""
    code = (
        'import sys, types\n'
        'package = types.ModuleType("diffpose_mm")\n'
        f'package.__path__ = [{os.path.dirname(os.path.dirname(diffusion.__file__))!r}]\n'
        'sys.modules["diffpose_mm"] = package\n'
        'import diffpose_mm.diffusion\n'
        'print(sorted(m for m in sys.modules if m.split(".")[0].startswith("mm")))\n'
    )
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(out.stdout)) - {'mmap'}
    assert not loaded
