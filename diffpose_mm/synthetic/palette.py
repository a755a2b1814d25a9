"""Colours of skin, hair and cloth, BGR in [0, 255]."""

import numpy as np

SKIN_TONES = np.array(
    [
        [178, 205, 238],
        [150, 182, 224],
        [120, 160, 205],
        [92, 128, 180],
        [66, 96, 146],
        [45, 66, 104],
    ],
    float,
)
HAIR_TONES = np.array(
    [[28, 26, 30], [30, 45, 70], [45, 75, 115], [80, 140, 190], [150, 150, 155], [30, 50, 130]],
    float,
)


def cloth_color(rng: np.random.Generator) -> np.ndarray:
    """A BGR cloth colour: greys, denims and saturated dyes, as a street shows them."""
    kind = rng.random()
    if kind < 0.3:
        return np.full(3, rng.uniform(25, 235)) + rng.uniform(-12, 12, 3)
    if kind < 0.45:
        return np.array([rng.uniform(90, 150), rng.uniform(60, 95), rng.uniform(35, 70)])
    hue, value, grey = rng.random(3), rng.uniform(90, 240), rng.uniform(0.05, 0.45)
    hue = hue - hue.min()
    return value * (grey + (1 - grey) * hue / hue.max())
