"""Any sampler, going on from its own first answer: SDEdit (arXiv 2108.01073) without a guide."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from diffpose_mm_runtime.refinement import DEFAULTS, check_refinement, refine

from .sampling import Denoise, Sampler, StepCallback
from .schedule import NoiseSchedule

__all__ = ['refined_sample']


def refined_sample(
    sampler: Sampler,
    denoise: Denoise,
    noise: Tensor,
    schedule: NoiseSchedule,
    steps: int,
    strength: float = 1.0,
    temperature: float = 1.0,
    first_weight: float = 0.0,
    callback: StepCallback | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """Sample, all steps but the first from the first answer noised to a middle step.

    Args:
        sampler: One of :data:`SAMPLERS`.
        denoise, noise, schedule, steps: Its arguments.
        strength: Share of the diffusion that is gone through again, in (0, 1]; SDEdit's t0. The
            noise that is added is the one of the start. 1 is the sampler as it is.
        temperature: Scale in [0, 1] of that noise. Below 1 likely answers become likelier, as with
            the temperature of other generative models; only with a ``strength`` below 1.
        first_weight: Weight in [0, 1) of the first predicted x0 in the result; the sampled x0 has
            the rest.
        callback: As of the sampler, over all steps.
        **options: Other arguments of the sampler.

    Returns:
        The first predicted x0, and the sampled one, (B, ...) like ``noise``.

    Raises:
        ValueError: ``strength``, ``temperature`` or ``first_weight`` is out of range, or as the
            sampler.
    """
    settings = dict(strength=strength, temperature=temperature, first_weight=first_weight)
    check_refinement({**DEFAULTS, **settings})

    clip = options.get('clip')

    def sample(start: Tensor, length: int, steps: int, done: int) -> tuple[Tensor, Tensor]:
        first: list[Tensor] = []

        def kept(x: Tensor, t: Tensor) -> Tensor:
            x0 = denoise(x, t)
            if not first:
                first.append((x0 if clip is None else x0.clamp(-clip, clip)).to(x.dtype))
            return x0

        def told(i: int, t: int, x_t: Tensor, x0: Tensor) -> None:
            if callback is not None:
                callback(done + i, t, x_t, x0)

        last = sampler(kept, start, schedule.truncated(length), steps, callback=told, **options)
        return first[0], last

    alphas_cumprod = schedule.alphas_cumprod.tolist()
    return refine(sample, noise, alphas_cumprod, steps, **settings)
