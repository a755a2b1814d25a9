"""The surroundings of a synthetic video on a cylinder round its camera."""

from dataclasses import dataclass

import numpy as np

from .background import make_background
from .camera import Camera
from .difficulty import Difficulty


@dataclass
class Panorama:
    """A picture of the surroundings.

    Attributes:
        camera: what looks at it.
        image: (h, w, 3) uint8 BGR.
        origin: (2,) panorama pixel of yaw 0, pitch 0, negated.
        crowd: polygons (M, 2) of the far people, panorama pixels.
        shadow_color: BGR of the ground in shadow.
    """

    camera: Camera
    image: np.ndarray
    origin: np.ndarray
    crowd: list[np.ndarray]
    shadow_color: tuple[float, ...]

    def affine(self, t: np.ndarray) -> np.ndarray:
        """(N, 2, 3) maps of image pixels to panorama pixels.

        The panorama is a cylinder around the camera, so this is exact at the frame's centre.
        """
        yaw, pitch, roll = self.camera.angles(t).T
        middle = np.stack([yaw, np.tan(pitch)], -1) * self.camera.lens.focal - self.origin
        turn = np.zeros((len(yaw), 2, 2))
        turn[:, 0, 0] = turn[:, 1, 1] = np.cos(roll)
        turn[:, 0, 1], turn[:, 1, 0] = -np.sin(roll), np.sin(roll)
        return np.concatenate([turn, (middle - turn @ self.camera.lens.center)[..., None]], -1)


def draw_panorama(rng: np.random.Generator, camera: Camera, difficulty: Difficulty) -> Panorama:
    """The surroundings of all that a camera sees."""
    lens = camera.lens
    width, height = lens.size
    yaw, slope = camera.track[:, 0], np.tan(camera.track[:, 1])
    margin = int(0.08 * width) + 8
    origin = np.array(
        [
            yaw.min() * lens.focal - width / 2 - margin,
            slope.min() * lens.focal - height / 2 - margin,
        ]
    )
    span = np.array(
        [
            np.ptp(yaw) * lens.focal + width + 2 * margin,
            np.ptp(slope) * lens.focal + height + 2 * margin,
        ]
    ).astype(int)
    image, ground, crowd = make_background(
        rng,
        int(span[0]),
        int(span[1]),
        -origin[1],
        lens.unit,
        difficulty.clutter,
        rng.random() < 0.3,
    )
    shadow_color = tuple(float(v) for v in np.clip(ground * 0.62, 0, 255))
    return Panorama(camera, image, origin, crowd, shadow_color)
