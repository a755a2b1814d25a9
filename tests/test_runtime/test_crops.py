"""Crops are those of MMPose's pipeline, to the last grey level."""

import numpy as np
import pytest
from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine

from diffpose_mm_runtime.crops import Placement

GENERATOR = np.random.default_rng(3)
BOXES = [
    *(np.sort(GENERATOR.uniform(-30, 150, (12, 2, 2)), axis=1).reshape(-1, 4) + [0, 0, 4, 4]),
    np.array([10, 10, 110, 30]),
    np.array([10, 10, 30, 110]),
]


@pytest.mark.parametrize('use_udp', [True, False])
@pytest.mark.parametrize('size', [(96, 128), (192, 256), (256, 256)])
def test_as_mmpose_cuts(size, use_udp):
    """Broken if centre, aspect, padding or warp were others: also by a rounding of the matrix."""
    image = GENERATOR.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    steps = GetBBoxCenterScale(padding=1.25), TopdownAffine(input_size=size, use_udp=use_udp)
    for box in BOXES:
        results = dict(img=image, bbox=box[None].astype(np.float32))
        for step in steps:
            results = step.transform(results)
        place = Placement.of_box(box, size, 1.25, use_udp)
        np.testing.assert_array_equal(place.center, results['input_center'])
        np.testing.assert_array_equal(place.scale, results['input_scale'])
        np.testing.assert_array_equal(place.crop(image), results['img'])
