"""Sampling that goes on from its own first answer, shared by tensors and arrays.

The first step of an x0 predictor answers with the mean of all x0 that fit. SDEdit (arXiv
2108.01073) makes a sample of such a guide: it is noised to a middle step and denoised from there,
so that only what the noise of that step can hide is drawn anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

DEFAULTS = dict(strength=1.0, first_weight=0.0)
"""Plain sampling."""


def restart_length(num_steps: int, strength: float, steps: int) -> int:
    """Length of the part of the diffusion that is gone through again: ``strength`` of it.

    Args:
        num_steps: Length T of the diffusion.
        strength: In (0, 1].
        steps: S, of which all but the first are in that part.
    """
    return max(math.ceil(strength * num_steps), steps - 1, 1)


def check_refinement(strength: float, first_weight: float, prefix: str = '') -> None:
    """Raise unless the two settings are in their ranges.

    Raises:
        ValueError: Which names the setting, after ``prefix``.
    """
    if not 0 < strength <= 1:
        raise ValueError(f'{prefix}strength must lie in (0, 1], got {strength!r}')
    if not 0 <= first_weight < 1:
        raise ValueError(f'{prefix}first_weight must lie in [0, 1), got {first_weight!r}')


def refine(
    sample: Callable[[Any, int, int, int], tuple[Any, Any]],
    noise: Any,
    alphas_cumprod: Sequence[float],
    steps: int,
    strength: float = 1.0,
    first_weight: float = 0.0,
) -> Any:
    """The x0 of S steps, all but the first from the first answer noised to a middle step.

    Args:
        sample: ``sample(start, length, steps, done)`` runs ``steps`` steps of a sampler over the
            first ``length`` steps of the diffusion, after ``done`` steps, and returns the first
            predicted x0 and the sampled one.
        noise: Standard normal; the same is added again.
        alphas_cumprod: Of the schedule.
        steps: S.
        strength: Share of the diffusion that is gone through again, SDEdit's t0. 1 is plain
            sampling: the first answer is a step like any other.
        first_weight: Weight of the first answer in the result; the rest is the last one's.

    Returns:
        The sampled x0, like ``noise``.
    """
    total = len(alphas_cumprod)
    if strength == 1 or steps == 1:
        first, last = sample(noise, total, steps, 0)
    else:
        length = restart_length(total, strength, steps)
        alpha = alphas_cumprod[length - 1]
        _, first = sample(noise, total, 1, 0)
        start = math.sqrt(alpha) * first + math.sqrt(1 - alpha) * noise
        _, last = sample(start, length, steps - 1, 1)
    if first_weight == 0 or steps == 1:
        return last
    return first_weight * first + (1 - first_weight) * last
