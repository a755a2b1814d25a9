"""The camera of a synthetic video: its lens, and where it looks over time."""

from dataclasses import dataclass

import numpy as np

from .anatomy import rotation
from .casting import Person
from .difficulty import Difficulty
from .lens import Lens
from .motion import drift, smoothstep


@dataclass
class Camera:
    """A camera that turns about its place.

    Attributes:
        lens: what projects.
        grid: (G,) seconds.
        track: (G, 3) yaw, pitch, roll at ``grid``, radians.
    """

    lens: Lens
    grid: np.ndarray
    track: np.ndarray

    def angles(self, t: np.ndarray) -> np.ndarray:
        """(N, 3) yaw, pitch, roll at times (N,), radians."""
        return np.stack([np.interp(t, self.grid, self.track[:, i]) for i in range(3)], -1)

    def rotation(self, t: np.ndarray) -> np.ndarray:
        """(N, 3, 3) world to camera rotations (x right, y down, z forward)."""
        yaw, pitch, roll = self.angles(t).T
        return rotation(2, -roll) @ rotation(0, pitch) @ rotation(1, -yaw)


def follow(
    rng: np.random.Generator,
    lens: Lens,
    person: Person,
    duration: float,
    difficulty: Difficulty,
) -> Camera:
    """A hand-held camera that follows a person for ``duration`` seconds."""
    grid = person.grid
    follow = rng.uniform(0.65, 1.0)
    yaw = follow * person.azimuth(grid)
    kernel = np.hanning(61)
    padded = np.pad(yaw, 30, mode='edge')
    yaw = np.convolve(padded, kernel / kernel.sum(), 'valid')
    yaw += rng.uniform(-0.5, 0.5) * difficulty.pan * (grid - duration / 2)
    # A quick swing of the camera, as when the operator reframes.
    for _ in range(rng.poisson(0.35 * duration)):
        start, length = rng.uniform(0, duration), rng.uniform(0.2, 0.5)
        swing = rng.choice([-1, 1]) * rng.uniform(0.2, 1.0) * difficulty.pan * 0.6
        move = smoothstep((grid - start) / length) - smoothstep(
            (grid - start - length - 0.2) / length
        )
        yaw += swing * move
    yaw += rng.uniform(-0.22, 0.22) * lens.size[0] / lens.focal
    distance = np.hypot(*person.position(np.array([duration / 2]))[0])
    aim = lens.height - 0.5 * person.body.height
    pitch = np.full_like(grid, np.arctan2(aim, distance))
    pitch += rng.normal(0, 0.05) * lens.size[1] / lens.focal
    roll = np.full_like(grid, rng.normal(0, 0.025))
    strength = difficulty.shake * rng.uniform(0.1, 1.0)
    envelope = np.full_like(grid, 0.12)
    for _ in range(rng.poisson(1.0 * duration)):
        middle, length = rng.uniform(0, duration), rng.uniform(0.08, 0.3)
        envelope += rng.uniform(0.4, 1.0) * np.exp(-0.5 * ((grid - middle) / length) ** 2)
    for signal, size in ((yaw, 1.0), (pitch, 0.9), (roll, 0.8)):
        signal += size * strength * envelope * drift(rng, 1.0, (1.5, 6.0))(grid)
    return Camera(lens, grid, np.stack([yaw, pitch, roll], -1))
