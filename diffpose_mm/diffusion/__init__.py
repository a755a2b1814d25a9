"""Denoising diffusion in plain torch: it knows no pose and imports nothing of mm*.

Section 3 of the paper (arXiv 2307.16687): the forward process with a schedule fixed in advance,
and DDIM sampling of a network that predicts x0.
"""

from .sampling import ddim_sample, ddim_timesteps
from .schedule import NoiseSchedule

__all__ = ['NoiseSchedule', 'ddim_sample', 'ddim_timesteps']
