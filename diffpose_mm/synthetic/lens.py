"""The lens of a synthetic video: a pinhole over the ground."""

import numpy as np


class Lens:
    """A pinhole camera's fixed part.

    Args:
        rng: the video's own generator.
        size: (width, height) pixels of a frame.

    Attributes:
        size: as given.
        unit: pixels of this frame for one of a 240-row frame.
        focal: focal length, pixels.
        height: metres of the pinhole above the ground.
        center: (2,) the frame's centre, pixels.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
        width, height = self.size = size
        self.unit = height / 240.0
        self.focal = width * rng.uniform(0.9, 1.45)
        self.height = rng.uniform(0.9, 1.9)
        self.center = np.array([(width - 1) / 2, (height - 1) / 2])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Camera points (..., 3), metres -> image pixels (..., 2), pixel centres at integers.

        What lies behind the camera goes far outside the frame.
        """
        depth = points[..., 2:]
        pixels = self.focal * points[..., :2] / np.maximum(depth, 0.1) + self.center
        return np.where(depth > 0.1, pixels, -1e6)
