"""Labels to look at: people with the joints that have a label, and those that have none."""

from collections.abc import Sequence

import cv2
import numpy as np

_SIDE = 256


def label_tile(
    image: np.ndarray,
    box: np.ndarray,
    keypoints: np.ndarray,
    labelled: np.ndarray,
    skeleton: Sequence[Sequence[int]],
    side: int = _SIDE,
) -> np.ndarray:
    """A person cut out and drawn on: green where there is a label, red rings where there is none.

    Args:
        image: HxWx3 BGR.
        box: (4, ) x1, y1, x2, y2 in image pixels; a quarter is added around it.
        keypoints: (K, 2) in image pixels.
        labelled: (K, ) bool.
        skeleton: Pairs of indices of joints.
        side: Of the tile, pixels.

    Returns:
        (side, side, 3) uint8 BGR.
    """
    centre, half = (box[:2] + box[2:]) / 2, max((box[2:] - box[:2]).max() * 0.625, 1)
    scale = side / (2 * half)
    matrix = np.array([[scale, 0, side / 2], [0, scale, side / 2]])
    matrix[:, 2] -= scale * centre
    tile = cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_AREA, borderValue=(230, 230, 230)
    )
    places = np.nan_to_num(keypoints * scale + matrix[:, 2], nan=-9, posinf=-9, neginf=-9)
    places = np.clip(np.rint(places), -(10**4), 10**4).astype(int)
    for a, b in skeleton:
        if labelled[a] and labelled[b]:
            cv2.line(tile, places[a].tolist(), places[b].tolist(), (60, 200, 60), 2, cv2.LINE_AA)
    for place, known in zip(places.tolist(), labelled):
        if known:
            cv2.circle(tile, place, 4, (40, 120, 0), -1, cv2.LINE_AA)
        else:
            cv2.circle(tile, place, 4, (60, 60, 230), 1, cv2.LINE_AA)
    return tile


def evenly(count: int, most: int) -> list[int]:
    """At most so many of the numbers below ``count``, spread evenly, first and last included."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
