"""DARK against mmpose's, and its corrected border."""

import numpy as np
import pytest
from mmpose.codecs import UDPHeatmap

from diffpose_mm.codecs import DiffusionHeatmap

SIZE = (192, 256), (48, 64)


@pytest.mark.parametrize('sigma, blur_kernel_size', [(2.0, 11), (3.0, 17), (2.0, 7)])
def test_inside_the_crop_decoding_is_mmposes_dark(sigma, blur_kernel_size):
    c = DiffusionHeatmap(*SIZE, sigma=sigma, blur_kernel_size=blur_kernel_size, decoding='dark')
    reference = UDPHeatmap(*SIZE, sigma=2, blur_kernel_size=blur_kernel_size)
    rng = np.random.default_rng(3)
    margin = 4.0 * (blur_kernel_size // 2 + 3)
    for noise in (0.0, 0.02):
        for _ in range(10):
            keypoints = rng.uniform(margin, c.input_extent - margin, (1, 17, 2))
            heatmaps = c.encode(keypoints)['heatmaps']
            heatmaps = heatmaps + rng.normal(0, noise, heatmaps.shape).astype(np.float32)
            expected, expected_scores = reference.decode(heatmaps)
            keypoints, scores = c.decode(heatmaps)
            # mmpose stretches the crop to w pixels where encoding has w - 1.
            expected = expected / c.input_size * c.input_extent
            np.testing.assert_allclose(keypoints, expected, atol=2e-3)
            np.testing.assert_allclose(scores, expected_scores.clip(0, 1), atol=1e-6)


@pytest.mark.parametrize('sigma', [0.75, 1.0, 2.0, 3.0, 6.0])
def test_joints_at_the_very_border_survive_the_round_trip(sigma):
    """DARK's blur sees zeros outside the crop and would pull these up to 7 input pixels inside."""
    c = DiffusionHeatmap(*SIZE, sigma=sigma, decoding='dark')
    depth = np.linspace(0, 40, 81)
    rng = np.random.default_rng(1)
    along = rng.uniform(0, c.input_extent, (81, 2))
    keypoints = np.concatenate(
        [
            np.stack([depth, along[:, 1]], -1),
            np.stack([along[:, 0], c.input_extent[1] - depth], -1),
            np.stack([c.input_extent[0] - depth, depth], -1),
        ]
    )[None]
    heatmaps = c.encode(keypoints)['heatmaps']
    np.testing.assert_allclose(c.decode(heatmaps)[0], keypoints, atol=0.02)
    assert np.abs(UDPHeatmap(*SIZE, sigma=sigma).decode(heatmaps)[0] - keypoints).max() > 1
