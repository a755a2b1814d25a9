"""Denoising diffusion in plain torch: it knows no pose and imports nothing of mm*.

Section 3 of the paper (arXiv 2307.16687): the forward process with a schedule fixed in advance,
and samplers (DDIM is the paper's) for a network that predicts x0.
"""

from .refinement import refined_sample
from .sampling import SAMPLERS, ddim_sample, ddim_timesteps, dpmpp_2m_sample
from .schedule import NoiseSchedule

__all__ = [
    'SAMPLERS',
    'NoiseSchedule',
    'ddim_sample',
    'ddim_timesteps',
    'dpmpp_2m_sample',
    'refined_sample',
]
