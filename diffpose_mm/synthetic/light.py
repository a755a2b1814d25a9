"""Light, exposure, focus and sensor of a synthetic video, frame by frame."""

import numpy as np

from .difficulty import Difficulty
from .lens import Lens
from .motion import smoothstep


class Light:
    """What becomes of a frame on its way through the lens.

    Attributes:
        times: (N,) seconds, the middles of the exposures.
        exposure: (N,) seconds.
        direction: (3,) unit vector towards the light, world axes.
        ambient: share of the light that comes from everywhere.
        defocus: (N,) diameters of the circle of confusion, image pixels.
        gain: (N,) factors.
        tint: (3,) BGR factors.
        noise_tile: (h + 48, w + 48, 3) float32 grey levels, and noise_shift (N, 2) its offsets.
    """

    def __init__(self, rng: np.random.Generator, lens: Lens, frames: int, difficulty: Difficulty):
        d, n, duration = difficulty, frames, frames / difficulty.fps
        t = np.arange(n) / d.fps
        self.times = t
        self.exposure = np.full(n, rng.uniform(*d.exposure)) / d.fps
        light = np.array([rng.normal(0, 0.7), -1.0, -abs(rng.normal(0.5, 0.5))])
        self.direction = light / np.linalg.norm(light)
        self.ambient = rng.uniform(0.5, 0.72)
        defocus = np.zeros(n)
        for start, length in _stretches(rng, duration, d.defocus, (0.12, 0.45)):
            ramp = smoothstep((t - start) / 0.1) * smoothstep((start + length - t) / 0.1)
            defocus = np.maximum(defocus, ramp * rng.uniform(*d.defocus_size))
        self.defocus = np.where(defocus < 1.0, 0, defocus) * lens.unit
        gain = np.full(n, rng.uniform(0.8, 1.15))
        for start, length in _stretches(rng, duration, d.gain, (0.2, 0.8)):
            ramp = smoothstep((t - start) / 0.15) * smoothstep((start + length - t) / 0.15)
            gain *= 1 + ramp * (rng.uniform(0.35, 0.75) * rng.choice([-1, 1.3]))
        self.gain = np.clip(gain, 0.25, 2.2)
        self.tint = rng.uniform(0.92, 1.08, 3)
        self.noise = rng.uniform(0.15, 1.0) * d.noise
        width, height = lens.size
        tile = self.noise * rng.standard_normal((height + 48, width + 48, 1))
        self.noise_tile = np.repeat(tile, 3, 2).astype(np.float32)
        self.noise_shift = rng.integers(0, 48, (n, 2))


def _stretches(rng, duration, rate, lengths) -> list[tuple[float, float]]:
    return [
        (rng.uniform(-0.1, duration), rng.uniform(*lengths))
        for _ in range(rng.poisson(rate * duration))
    ]
