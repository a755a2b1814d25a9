"""The steps of DDIM (arXiv 2010.02502), as numbers, and its loop over arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .refinement import refine


def trailing_timesteps(num_steps: int, steps: int) -> list[int]:
    """S of T steps with trailing spacing, descending from T - 1 (Table 2 of arXiv 2305.08891).

    Args:
        num_steps: Length T of the diffusion.
        steps: Number S of network calls, from 1 to T.

    Raises:
        ValueError: ``steps`` is not an integer from 1 to ``num_steps``.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f'sampling steps={steps!r} must be an integer of at least 1')
    if steps > num_steps:
        raise ValueError(
            f'sampling steps={steps} is more than the {num_steps} steps of the noise schedule; '
            f'lower it to at most {num_steps}'
        )
    # numpy.arange's way to add up a fractional stride: it decides where a half is rounded to, so
    # that the timesteps equal those of implementations that use it.
    stride = (num_steps - num_steps / steps) - num_steps
    ends = [round(num_steps + i * stride) for i in range(steps)]
    return [end - 1 for end in ends]


def ddim_moves(
    alphas_cumprod: Sequence[float], steps: int, eta: float = 0.0
) -> list[tuple[int, float, float, float]]:
    """For each of S steps: t, alphas_cumprod at t and after the step, and sigma (equation 16).

    Each step goes T // S steps down, as in diffusers' ``DDIMScheduler``.
    """
    num_steps = len(alphas_cumprod)
    stride = num_steps // steps if steps else 0
    moves = []
    for t in trailing_timesteps(num_steps, steps):
        a_t = alphas_cumprod[t]
        a_prev = alphas_cumprod[t - stride] if t >= stride else 1.0
        sigma = eta * math.sqrt((1 - a_prev) / (1 - a_t) * (1 - a_t / a_prev))
        moves.append((t, a_t, a_prev, sigma))
    return moves


def ddim_array(
    denoise: Callable[[np.ndarray, np.ndarray], np.ndarray],
    noise: np.ndarray,
    alphas_cumprod: Sequence[float],
    steps: int,
    clip: float,
    strength: float = 1.0,
    temperature: float = 1.0,
    first_weight: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Deterministic DDIM over float32 arrays, in :func:`refine`.

    Args and returns as of ``diffpose_mm.diffusion.refined_sample``.
    """

    def sample(
        start: np.ndarray, length: int, steps: int, done: int
    ) -> tuple[np.ndarray, np.ndarray]:
        first: np.ndarray | None = None
        x: np.ndarray = start.astype(np.float32)
        for t, a_t, a_prev, _ in ddim_moves(alphas_cumprod[:length], steps):
            x0 = denoise(x, np.full(len(x), t, dtype=np.int64))
            eps = (x - np.float32(math.sqrt(a_t)) * x0) / np.float32(math.sqrt(1 - a_t))
            x0 = x0.clip(-clip, clip)
            first = x0 if first is None else first
            x = np.float32(math.sqrt(a_prev)) * x0 + np.float32(math.sqrt(1 - a_prev)) * eps
        assert first is not None
        return first, x

    return refine(sample, noise, alphas_cumprod, steps, strength, temperature, first_weight)
