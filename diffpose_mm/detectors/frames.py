"""Frames as networks take them: RGB, and in batches of one size."""

from collections.abc import Sequence

import numpy as np


def to_rgb(frame: np.ndarray) -> np.ndarray:
    """HxWx3 BGR to HxWx3 RGB, contiguous, since networks' libraries refuse reversed arrays."""
    return np.ascontiguousarray(frame[:, :, ::-1])


def by_size(frames: Sequence[np.ndarray]) -> dict[tuple[int, int], list[int]]:
    """(height, width) -> places of the frames of that size, in their order."""
    places: dict[tuple[int, int], list[int]] = {}
    for place, frame in enumerate(frames):
        height, width = frame.shape[:2]
        places.setdefault((height, width), []).append(place)
    return places
