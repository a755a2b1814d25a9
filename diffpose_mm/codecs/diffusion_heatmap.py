"""Keypoints to heatmaps to the diffusion signal and back: DiffPose sections 1 and 3.

Coordinates follow UDP (arXiv 1911.07524): input pixel 0 is heatmap pixel 0 and input pixel w - 1
is heatmap pixel W - 1. Decoding is a fit of Gaussians, or DARK (arXiv 1910.06278).
"""

from __future__ import annotations

import numpy as np
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS

from diffpose_mm_runtime.decoding import HeatmapDecoding

__all__ = ['DiffusionHeatmap']


@KEYPOINT_CODECS.register_module()
class DiffusionHeatmap(HeatmapDecoding, BaseKeypointCodec):
    """UDP heatmaps as the x0 of a diffusion, and the decoding of one or many hypotheses.

    ``decode`` is the exact inverse of ``encode``: for every joint in the crop, to its very border,
    the round trip errs by less than 0.02 input pixels at stride 4 (sigma of 0.75 and more; below
    it a Gaussian has too few pixels). Three things make the difference to mmpose's ``UDPHeatmap``:

    - Its ``decode`` stretches the crop to ``w`` input pixels where ``encode`` and ``TopdownAffine``
      have ``w - 1``, up to 1 input pixel at the far edge. Here input pixels are the same both ways,
      so an estimator maps them to the image by ``keypoints / (input_size - 1) * input_scale``
      (:attr:`input_extent`).
    - At the border its blur counts what lies outside as zeros, and a joint is decoded up to 1.1
      (sigma 2) or 1.8 (sigma 3) heatmap pixels too far inside.
    - A second peak 3 to 8 heatmap pixels away pulls the joint by up to 0.8 of them.

    Shapes: N = 1 instance, K joints, S hypotheses, heatmaps (K, H, W).

    Args:
        input_size: (w, h) of the crop in input pixels.
        heatmap_size: (W, H), of the same aspect as ``input_size``.
        sigma: Standard deviation of the Gaussians in heatmap pixels.
        signal_scale: s, the diffusion signal lies in [-s, s]. A smaller s buries the heatmaps
            deeper in the noise of a given step. The value of the paper is not known.
        blur_kernel_size: Odd size in heatmap pixels of DARK's blur. None takes what DARK uses:
            11 for sigma 2, 17 for sigma 3, and in proportion. Of ``decoding='dark'`` only.
        decoding: ``'gaussian_fit'``, see :class:`diffpose_mm_runtime.gaussian_fit.GaussianFit`;
            or ``'dark'``, which
            is mmpose's, without its error at the border: for results as of releases before.

    Raises:
        ValueError: A size is not two integers above 2, the aspects differ, or ``sigma``,
            ``signal_scale``, ``blur_kernel_size`` or ``decoding`` is out of range.
    """

    field_mapping_table = {'heatmaps': 'heatmaps'}
    label_mapping_table = {'keypoint_weights': 'keypoint_weights'}

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float = 2.0,
        signal_scale: float = 0.5,
        blur_kernel_size: int | None = None,
        decoding: str = 'gaussian_fit',
    ) -> None:
        BaseKeypointCodec.__init__(self)
        HeatmapDecoding.__init__(
            self, input_size, heatmap_size, sigma, signal_scale, blur_kernel_size, decoding
        )

    def encode(self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None) -> dict:
        """Draw one Gaussian of height 1 per joint.

        Unlike mmpose's ``UDPHeatmap`` the Gaussian is not cut off at three sigma, and a joint
        outside the crop has no part of it left inside.

        Args:
            keypoints: (1, K, 2) in input pixels; more columns are ignored.
            keypoints_visible: (1, K) weights; below 0.5 is not annotated or not visible. None
                takes every joint as visible.

        Returns:
            dict: ``heatmaps`` (K, H, W) float32 in [0, 1] and ``keypoint_weights`` (1, K)
            float32, which is the visibility, or 0 for a joint that is not visible, not finite or
            outside [0, w - 1] x [0, h - 1]. The heatmap of a joint with weight 0 is all 0.

        Raises:
            ValueError: The arrays are not those of a single instance.
        """
        keypoints = np.asarray(keypoints)
        if keypoints.ndim != 3 or keypoints.shape[0] != 1 or keypoints.shape[2] < 2:
            raise ValueError(
                f'DiffusionHeatmap.encode: keypoints has shape {keypoints.shape}, but must be '
                '(1, K, 2): a top-down crop holds one person'
            )
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2])
        weights = np.array(keypoints_visible, dtype=np.float32)
        if weights.shape != keypoints.shape[:2]:
            raise ValueError(
                f'DiffusionHeatmap.encode: keypoints_visible has shape {weights.shape}, but '
                f'must be {keypoints.shape[:2]} as keypoints has'
            )
        xy = keypoints[..., :2].astype(np.float64)
        with np.errstate(invalid='ignore'):
            inside = ((xy >= 0) & (xy <= self.input_extent)).all(-1)
        used = inside & (weights >= 0.5)
        weights[~used] = 0

        centers = np.where(used[..., None], xy, 0)[0] / self._stride
        x_profile, y_profile = (
            np.exp(-((np.arange(n) - centers[:, axis, None]) ** 2) / (2 * self.sigma**2))
            for axis, n in enumerate(self.heatmap_size)
        )
        y_profile *= used[0, :, None]
        heatmaps = y_profile[:, :, None].astype(np.float32) * x_profile[:, None].astype(np.float32)
        return {'heatmaps': heatmaps, 'keypoint_weights': weights}
