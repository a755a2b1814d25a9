"""What passes before the people of a synthetic video, or stands beside them."""

from dataclasses import dataclass

import numpy as np

from .casting import Person
from .difficulty import Difficulty
from .lens import Lens
from .palette import cloth_color


@dataclass
class Occluder:
    """A billboard of coloured cells that faces the camera.

    Attributes:
        cells: (C, 4, 2) metres, relative to its foot (x right, y down).
        colors: (C, 3) BGR.
        depth: metres from the camera.
        azimuth, rate, time: radians, radians a second, the second at which azimuth holds.
    """

    cells: np.ndarray
    colors: np.ndarray
    depth: float
    azimuth: float
    rate: float
    time: float


def place_occluders(
    rng: np.random.Generator,
    lens: Lens,
    people: list[Person],
    duration: float,
    difficulty: Difficulty,
) -> list[Occluder]:
    """Occluders that pass before people or stand beside them."""
    d = difficulty
    occluders: list[Occluder] = []
    moving = rng.poisson(d.occluders * duration)
    standing = rng.poisson(d.static_occluders)
    for i in range(min(moving, 24) + standing):
        target = people[rng.integers(len(people))]
        time = rng.uniform(0, duration)
        place = target.position(np.array([time]))[0]
        depth = max(np.hypot(*place) * rng.uniform(0.55, 0.85), 0.9)
        # Sizes and speeds are chosen in pixels of a 240-row frame, then taken to the scene.
        metre = depth / lens.focal * lens.unit
        wide = rng.uniform(8, 24) if rng.random() < 0.5 else rng.uniform(20, 56)
        tall = rng.uniform(60, 300) if rng.random() < 0.6 else rng.uniform(25, 90)
        base = rng.uniform(-10, 40) if rng.random() < 0.5 else rng.uniform(-120, 0)
        offset = rng.normal(0, 8) * metre / depth
        if i >= moving:
            # Beside the person: what hides all of someone all the time teaches nothing.
            wide = rng.uniform(6, 30)
            offset = rng.choice([-1, 1]) * rng.uniform(0.15, 0.6) / depth
        rate = 0.0
        if i < moving:
            rate = rng.choice([-1, 1]) * rng.uniform(*d.occluder_speed) * metre / depth
        foot = lens.height + base * metre
        occluders.append(
            _billboard(
                rng,
                wide * metre,
                tall * metre,
                foot,
                depth,
                np.arctan2(*place) + offset,
                rate,
                time,
            )
        )
    return occluders


def _billboard(rng, wide, tall, foot, depth, azimuth, rate, time) -> Occluder:
    style = rng.integers(4)
    first, second = cloth_color(rng), cloth_color(rng)
    rows = int(rng.integers(2, 7)) if tall > wide else int(rng.integers(1, 4))
    columns = int(rng.integers(1, 3)) if tall > wide else int(rng.integers(2, 7))
    if style == 0:
        rows = columns = 1
    cells, colors = [], []
    top_share = rng.uniform(0.3, 1.0) if rng.random() < 0.3 else 1.0
    for i in range(rows):
        for j in range(columns):
            corner = np.array([[j, i], [j + 1, i], [j + 1, i + 1], [j, i + 1]], float)
            corner /= (columns, rows)
            corner[:, 0] -= 0.5
            corner[:, 0] *= wide * (top_share + (1 - top_share) * corner[:, 1])
            corner[:, 1] = (corner[:, 1] - 1) * tall + foot
            cells.append(corner)
            pick = first if (i + j) % 2 == 0 or style == 1 else second
            colors.append(pick * rng.uniform(0.85, 1.1))
    return Occluder(np.array(cells), np.clip(colors, 0, 255), depth, azimuth, rate, time)
