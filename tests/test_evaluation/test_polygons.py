"""Points in polygons against exact arithmetic, edge by edge."""

import numpy as np
import pytest
from evaluation_cases import slow_inside

from diffpose_mm.evaluation.polygons import points_in_regions


@pytest.mark.parametrize('seed', range(20))
def test_points_in_regions_equal_exact_arithmetic(seed):
    """Concave, crossing, degenerate polygons; corners, edges and points a rounding error away."""
    rng = np.random.default_rng(seed)
    regions, points, frame = [], [], []
    for index in range(4):
        polygons = [
            rng.integers(0, 12, (rng.integers(0, 8), 2)).astype(float)
            for _ in range(rng.integers(0, 4))
        ]
        if seed % 2:
            polygons = [polygon / 7 + 0.1 for polygon in polygons]
        regions.append(polygons)
        candidates = [rng.integers(0, 12, (20, 2)).astype(float), rng.uniform(0, 2, (20, 2))]
        for polygon in polygons:
            middle = (polygon + np.roll(polygon, 1, axis=0)) / 2
            candidates += [polygon, middle, np.nextafter(middle, 100)]
        points.append(np.concatenate(candidates))
        frame += [index] * len(points[-1])
    points = np.concatenate(points)
    expected = [
        any(slow_inside(x, y, polygon[:, 0], polygon[:, 1]) for polygon in regions[f])
        for (x, y), f in zip(points, frame)
    ]
    assert points_in_regions(points, np.array(frame), regions).tolist() == expected
