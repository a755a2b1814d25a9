"""A sampler: Heun's method, second order with two calls of the network a step."""

import math

import torch

from diffpose_mm.diffusion import SAMPLERS, ddim_timesteps


def heun_sample(denoise, noise, schedule, steps, clip=None, generator=None, callback=None):
    """DPM-Solver++ (arXiv 2211.01095), algorithm 1 (2S) with r = 1: x0 is the mean of two answers.

    The first is that of the network where the step begins, the second that where DDIM would end.
    """
    timesteps = ddim_timesteps(schedule.num_steps, steps).tolist()
    alphas_cumprod = schedule.alphas_cumprod.tolist()

    def predict(x, t):
        x0 = denoise(x, torch.full((len(x),), t, device=x.device)).to(x.dtype)
        return x0 if clip is None else x0.clamp(-clip, clip)

    x = noise
    for i, t in enumerate(timesteps):
        x0 = predict(x, t)
        if callback is not None:
            callback(i, t, x, x0)
        if i + 1 == steps:
            return x0
        following = timesteps[i + 1]
        a, a_next = alphas_cumprod[t], alphas_cumprod[following]
        shrink = math.sqrt((1 - a_next) / (1 - a))
        # alpha_next * (1 - exp(-h)), with h the step of the half log signal-to-noise ratio.
        weight = math.sqrt(a_next) - shrink * math.sqrt(a)
        x0_next = predict(shrink * x + weight * x0, following)
        x = shrink * x + weight * (x0 + x0_next) / 2
    return x


SAMPLERS['heun'] = heun_sample
