"""Sampling that goes on from its own first answer, shared by tensors and arrays.

The first step of an x0 predictor answers with the mean of all x0 that fit. SDEdit (arXiv
2108.01073) makes a sample of such a guide: it is noised to a middle step and denoised from there,
so that only what the noise of that step can hide is drawn anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

DEFAULTS: dict[str, Any] = dict(strength=1.0, temperature=1.0, first_weight=0.0, first_scores=False)
"""Plain sampling."""


def restart_length(num_steps: int, strength: float, steps: int) -> int:
    """Length of the part of the diffusion that is gone through again: ``strength`` of it.

    Args:
        num_steps: Length T of the diffusion.
        strength: In (0, 1].
        steps: S, of which all but the first are in that part.
    """
    return max(math.ceil(strength * num_steps), steps - 1, 1)


def check_refinement(settings: Mapping[str, Any], prefix: str = '') -> None:
    """Raise unless the settings named in :data:`DEFAULTS` are in their ranges.

    Raises:
        ValueError: Which names the setting, after ``prefix``.
    """
    strength, temperature = settings['strength'], settings['temperature']
    if not 0 < strength <= 1:
        raise ValueError(f'{prefix}strength must lie in (0, 1], got {strength!r}')
    if not 0 <= temperature <= 1:
        raise ValueError(f'{prefix}temperature must lie in [0, 1], got {temperature!r}')
    if strength == 1 and temperature != 1:
        raise ValueError(
            f'{prefix}temperature={temperature!r} scales the noise of a restart: set '
            f'{prefix}strength below 1'
        )
    if not 0 <= settings['first_weight'] < 1:
        raise ValueError(
            f'{prefix}first_weight must lie in [0, 1), got {settings["first_weight"]!r}'
        )
    if not isinstance(settings['first_scores'], bool):
        raise ValueError(
            f'{prefix}first_scores must be True or False, got {settings["first_scores"]!r}'
        )


def refine(
    sample: Callable[[Any, int, int, int], tuple[Any, Any]],
    noise: Any,
    alphas_cumprod: Sequence[float],
    steps: int,
    strength: float = 1.0,
    temperature: float = 1.0,
    first_weight: float = 0.0,
) -> tuple[Any, Any]:
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
        temperature: Scale of the noise that is added to the first answer.
        first_weight: Weight of the first answer in the result; the rest is the last one's.

    Returns:
        The first predicted x0, and the sampled one, like ``noise``.
    """
    total = len(alphas_cumprod)
    if strength == 1 or steps == 1:
        first, last = sample(noise, total, steps, 0)
    else:
        length = restart_length(total, strength, steps)
        alpha = alphas_cumprod[length - 1]
        _, first = sample(noise, total, 1, 0)
        start = math.sqrt(alpha) * first + temperature * math.sqrt(1 - alpha) * noise
        _, last = sample(start, length, steps - 1, 1)
    if first_weight and steps > 1:
        last = first_weight * first + (1 - first_weight) * last
    return first, last


def with_peaks_of(heatmaps: Any, others: Any) -> Any:
    """Heatmaps scaled to the heights of others: their places, with the scores of those.

    Args:
        heatmaps: (..., K, h, w) in [0, 1], tensors or arrays; those without a peak stay as they
            are.
        others: Of the same shape.
    """
    ours, theirs = _peaks(heatmaps), _peaks(others)
    return heatmaps * (theirs / ours.clip(1e-6, 1))


def _peaks(heatmaps: Any) -> Any:
    peaks = heatmaps.reshape(*heatmaps.shape[:-2], -1).max(-1)
    if isinstance(peaks, tuple):  # torch gives the places as well
        peaks = peaks[0]
    return peaks[..., None, None]
