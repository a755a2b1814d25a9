"""Points in polygons, decided exactly: the ignore regions of the PoseTrack protocol."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

# Shewchuk's bound for the 2 x 2 orientation determinant in double precision.
_ORIENTATION_ERROR = 3.3306690738754716e-16


def points_in_regions(
    points: np.ndarray, frame: np.ndarray, regions: Sequence[Sequence[np.ndarray]]
) -> np.ndarray:
    """Whether points lie strictly inside a region of their frame.

    Inside is meant by the even-odd rule, decided exactly; a point on an edge is not inside that
    region. A region of fewer than three corners has no inside.

    Args:
        points: (n, 2) float64 x, y in image pixels.
        frame: (n,) int index into ``regions``, non-decreasing.
        regions: for each frame its polygons, each (M, 2) float64 in image pixels; the last corner
            is joined to the first.

    Returns:
        (n,) bool.
    """
    inside = np.zeros(len(points), dtype=bool)
    regions = [
        [region for region in frame_regions if len(region) >= 3] for frame_regions in regions
    ]
    polygons = [region for frame_regions in regions for region in frame_regions]
    if not polygons or not len(points):
        return inside

    # The edges of all polygons, one after the other.
    sizes = np.array([len(polygon) for polygon in polygons])
    starts = np.cumsum(sizes) - sizes
    begin = np.concatenate(polygons).astype(np.float64)
    following = np.arange(1, len(begin) + 1)
    following[starts + sizes - 1] = starts
    end = begin[following]
    lower, upper = np.minimum(begin, end), np.maximum(begin, end)
    local_polygon = np.concatenate([np.arange(len(r)) for r in regions])

    last_polygon = np.r_[0, np.cumsum([len(r) for r in regions])]
    rows = np.searchsorted(frame, np.arange(len(regions) + 1))
    for index in np.flatnonzero((np.diff(last_polygon) > 0) & (np.diff(rows) > 0)):
        chosen = slice(last_polygon[index], last_polygon[index + 1])
        first, last = starts[chosen][0], starts[chosen][-1] + sizes[chosen][-1]
        near = slice(first, last)
        position = points[rows[index] : rows[index + 1]]
        x, y = np.ascontiguousarray(position.T)
        # Even-odd rule: count the edges that a ray from the point to the right crosses. An edge
        # wholly to the right is crossed if its ends lie on two sides of the ray; an edge that the
        # point is beside, or on, has to be looked at closely.
        beside = lower[near, :1] <= x
        crossed = (begin[near, 1:] > y) != (end[near, 1:] > y)
        crossed &= ~beside
        odd = np.logical_xor.reduceat(crossed, starts[chosen] - first, axis=0)
        beside &= upper[near, :1] >= x
        beside &= lower[near, 1:] <= y
        beside &= upper[near, 1:] >= y
        if beside.any():
            edge, point = np.nonzero(beside)
            polygon = np.repeat(local_polygon[chosen], sizes[chosen])[edge]
            edge += first
            side = _orientation(begin[edge], end[edge], position[point])
            begin_y, end_y = begin[edge, 1], end[edge, 1]
            crossed = (begin_y > y[point]) != (end_y > y[point])
            crossed &= np.where(end_y > begin_y, side, -side) > 0
            np.logical_xor.at(odd, (polygon[crossed], point[crossed]), True)
            on_edge = side == 0
            odd[polygon[on_edge], point[on_edge]] = False
        inside[rows[index] : rows[index + 1]] = odd.any(axis=0)
    return inside


def _orientation(begin: np.ndarray, end: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Exact side of directed edges that points lie on: 1 left, -1 right, 0 on the line."""
    a, b = begin - points, end - points
    left, right = a[:, 0] * b[:, 1], a[:, 1] * b[:, 0]
    determinant = left - right
    side = np.sign(determinant)
    uncertain = np.abs(determinant) <= _ORIENTATION_ERROR * (np.abs(left) + np.abs(right))
    for i in np.flatnonzero(uncertain):
        ax, ay, bx, by, px, py = (Fraction(float(v)) for v in (*begin[i], *end[i], *points[i]))
        exact = (ax - px) * (by - py) - (ay - py) * (bx - px)
        side[i] = (exact > 0) - (exact < 0)
    return side
