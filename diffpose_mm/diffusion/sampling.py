"""Samplers as free functions: from noise to x0 with a network that predicts x0.

A sampler is a function ``sampler(denoise, noise, schedule, steps, clip=, generator=, callback=)``
with one line in :data:`SAMPLERS`, whose names are the values of ``test_cfg.sampler``. One that puts
in fresh noise also takes ``eta``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from diffpose_mm_runtime.ddim import ddim_moves, trailing_timesteps

from .schedule import NoiseSchedule

__all__ = ['SAMPLERS', 'ddim_sample', 'ddim_timesteps', 'dpmpp_2m_sample']

Denoise: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Generators: TypeAlias = torch.Generator | Sequence[torch.Generator] | None
StepCallback: TypeAlias = Callable[[int, int, Tensor, Tensor], None]
Sampler: TypeAlias = Callable[..., Tensor]


def ddim_timesteps(num_steps: int, steps: int) -> Tensor:
    """Choose S of T steps with trailing spacing, Table 2 of arXiv 2305.08891.

    Trailing spacing always begins at T - 1, so S = 1 is one call of the network on pure noise.

    Args:
        num_steps: Length T of the diffusion.
        steps: Number S of network calls, from 1 to T.

    Returns:
        (S,) int64, descending, from T - 1.

    Raises:
        ValueError: ``steps`` is not an integer from 1 to ``num_steps``.
    """
    return torch.tensor(trailing_timesteps(num_steps, steps), dtype=torch.int64)


def ddim_sample(
    denoise: Denoise,
    noise: Tensor,
    schedule: NoiseSchedule,
    steps: int,
    eta: float = 0.0,
    clip: float | None = None,
    generator: Generators = None,
    callback: StepCallback | None = None,
) -> Tensor:
    """DDIM (arXiv 2010.02502), equation 12.

    Step by step equal to diffusers' ``DDIMScheduler`` with ``prediction_type='sample'``,
    ``timestep_spacing='trailing'`` and ``set_alpha_to_one=True``. Two of its conventions are kept
    deliberately: each step goes T // S steps down (when S does not divide T that can be one step
    short of the next timestep, and the last step can end at t = 0 with its trace of noise instead
    of at none), and clipping acts on x0 but not on the noise estimate.

    Args:
        denoise: ``denoise(x_t, t)`` with x_t (B, ...) and t (B,) int64 returns the predicted x0,
            (B, ...).
        noise: (B, ...) standard normal start, x at t = T - 1.
        schedule: The schedule that the network was trained with.
        steps: Number S of network calls, from 1 to ``schedule.num_steps``.
        eta: 0 is deterministic DDIM, 1 puts in as much fresh noise a step as DDPM
            (equation 16).
        clip: Clamp each predicted x0 to [-clip, clip]; None does not.
        generator: Source of the fresh noise when ``eta > 0``: one for the whole batch, or a
            sequence of B, which makes a sample independent of the batch it is in and of its
            place there. None is torch's global generator.
        callback: Called as ``callback(i, t, x_t, x0)`` at each step i = 0 .. S - 1 with the
            noisy sample, the int t and the (clamped) prediction made from it.

    Returns:
        (B, ...) the sampled x0, of the dtype and on the device of ``noise``.

    Raises:
        ValueError: ``steps``, ``eta`` or ``clip`` is out of range, there are not B generators,
            or ``denoise`` returns another shape than it was given.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f'eta={eta} must lie in [0, 1]: 0 is DDIM, 1 is DDPM')
    _check_clip(clip)
    if isinstance(generator, Sequence) and len(generator) != len(noise):
        raise ValueError(
            f'generator is a sequence of {len(generator)} for a batch of {len(noise)}; give one '
            'torch.Generator a sample, or a single one'
        )
    # One transfer instead of a device synchronisation at each step.
    moves = ddim_moves(schedule.alphas_cumprod.tolist(), steps, eta)

    x = noise
    for i, (t, a_t, a_prev, sigma) in enumerate(moves):
        x0 = _predict(denoise, x, t)
        eps = (x - math.sqrt(a_t) * x0) / math.sqrt(1 - a_t)
        if clip is not None:
            x0 = x0.clamp(-clip, clip)
        if callback is not None:
            callback(i, t, x, x0)
        x = math.sqrt(a_prev) * x0 + math.sqrt(max(1 - a_prev - sigma**2, 0.0)) * eps
        if sigma > 0:
            x = x + sigma * _fresh_noise(x, generator)
    return x


def dpmpp_2m_sample(
    denoise: Denoise,
    noise: Tensor,
    schedule: NoiseSchedule,
    steps: int,
    clip: float | None = None,
    generator: Generators = None,
    callback: StepCallback | None = None,
) -> Tensor:
    """DPM-Solver++(2M) (arXiv 2211.01095), algorithm 2: second order, deterministic.

    Solves the same equation as DDIM with ``eta=0``, with an error that falls with the square of the
    step; the first step and the last one, which goes to no noise at all, are those of DDIM. Equal
    to diffusers' ``DPMSolverMultistepScheduler`` with ``algorithm_type='dpmsolver++'``,
    ``solver_order=2``, ``prediction_type='sample'``, ``timestep_spacing='trailing'`` and
    ``final_sigmas_type='zero'``.

    Args, returns and errors are those of :func:`ddim_sample`; ``generator`` is not used, and
    clipping acts on x0, from which all else follows.
    """
    timesteps = ddim_timesteps(schedule.num_steps, steps).tolist()
    _check_clip(clip)
    alphas_cumprod = schedule.alphas_cumprod.tolist()
    half_log_snr = [0.5 * math.log(a / (1 - a)) for a in alphas_cumprod]

    x, last_x0, last_h = noise, noise, 0.0
    for i, t in enumerate(timesteps):
        x0 = _predict(denoise, x, t)
        if clip is not None:
            x0 = x0.clamp(-clip, clip)
        if callback is not None:
            callback(i, t, x, x0)
        if i + 1 == steps:
            return x0
        following = timesteps[i + 1]
        a_t, a_next = alphas_cumprod[t], alphas_cumprod[following]
        h = half_log_snr[following] - half_log_snr[t]
        # x0 extrapolated to the middle of the step.
        middle = x0 if i == 0 else x0 + h / (2 * last_h) * (x0 - last_x0)
        x = math.sqrt((1 - a_next) / (1 - a_t)) * x - math.sqrt(a_next) * math.expm1(-h) * middle
        last_x0, last_h = x0, h
    return x


SAMPLERS: dict[str, Sampler] = {'ddim': ddim_sample, 'dpmpp_2m': dpmpp_2m_sample}


def _check_clip(clip: float | None) -> None:
    if clip is not None and not clip > 0:
        raise ValueError(f'clip={clip} must be positive, or None for no clipping')


def _predict(denoise: Denoise, x: Tensor, t: int) -> Tensor:
    """Predicted x0 at one step for the whole batch, of the shape and dtype of ``x``."""
    x0 = denoise(x, torch.full((len(x),), t, dtype=torch.int64, device=x.device))
    if x0.shape != x.shape:
        raise ValueError(
            f'denoise returned shape {tuple(x0.shape)} for x_t of shape {tuple(x.shape)}; it '
            'must predict x0, which has the shape of x_t'
        )
    return x0.to(x.dtype)


def _fresh_noise(like: Tensor, generator: Generators) -> Tensor:
    """Draw standard normal noise like a tensor, sample by sample if there is a generator each."""
    if isinstance(generator, Sequence):
        return torch.stack([_fresh_noise(sample, g) for sample, g in zip(like, generator)])
    device = like.device if generator is None else generator.device
    drawn = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=device)
    return drawn.to(like.device)
