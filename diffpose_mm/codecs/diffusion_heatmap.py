"""Keypoints to heatmaps to the diffusion signal and back: DiffPose sections 1 and 3.

Coordinates follow UDP (arXiv 1911.07524): input pixel 0 is heatmap pixel 0 and input pixel w - 1
is heatmap pixel W - 1. Decoding is a fit of Gaussians, or DARK (arXiv 1910.06278).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS

from .dark import Dark
from .gaussian_fit import GaussianFit

__all__ = ['DiffusionHeatmap']

Array = TypeVar('Array', np.ndarray, torch.Tensor)

DECODINGS = ('gaussian_fit', 'dark')


@KEYPOINT_CODECS.register_module()
class DiffusionHeatmap(BaseKeypointCodec):
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
        decoding: ``'gaussian_fit'``, see :class:`~.gaussian_fit.GaussianFit`; or ``'dark'``, which
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
        super().__init__()
        self.input_size = _size('input_size', input_size)
        self.heatmap_size = _size('heatmap_size', heatmap_size)
        (w, h), (hm_w, hm_h) = self.input_size, self.heatmap_size
        if w * hm_h != h * hm_w:
            raise ValueError(
                f'DiffusionHeatmap: heatmap_size={self.heatmap_size} has not the aspect of '
                f'input_size={self.input_size}, both (width, height); at stride 4 it is '
                f'({w // 4}, {h // 4})'
            )
        if not 0.1 <= sigma <= max(self.heatmap_size):
            raise ValueError(
                f'DiffusionHeatmap: sigma={sigma} must be at least 0.1 and no larger than the '
                'heatmap, in heatmap pixels (usual: 2)'
            )
        if not 0 < signal_scale < np.inf:
            raise ValueError(
                f'DiffusionHeatmap: signal_scale={signal_scale} must be positive and finite'
            )
        if blur_kernel_size is None:
            blur_kernel_size = max(2 * round(2.5 * sigma) + 1, 3)
        if blur_kernel_size < 3 or blur_kernel_size % 2 == 0:
            raise ValueError(
                f'DiffusionHeatmap: blur_kernel_size={blur_kernel_size} must be odd and at least '
                '3, or None to follow sigma'
            )
        self.sigma = float(sigma)
        self.signal_scale = float(signal_scale)
        self.blur_kernel_size = blur_kernel_size
        self.input_extent = np.array(self.input_size, dtype=np.float64) - 1
        self._stride = self.input_extent / (np.array(self.heatmap_size) - 1)
        if decoding not in DECODINGS:
            raise ValueError(
                f'DiffusionHeatmap: decoding={decoding!r} must be one of {", ".join(DECODINGS)}'
            )
        self.decoding = decoding
        self._refine: GaussianFit | Dark = (
            GaussianFit(self.heatmap_size, self.sigma)
            if decoding == 'gaussian_fit'
            else Dark(self.heatmap_size, self.sigma, blur_kernel_size)
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

    def to_signal(self, heatmaps: Array) -> Array:
        """Map heatmaps in [0, 1] to the diffusion signal in [-s, s], whatever their shape."""
        return (heatmaps * 2 - 1) * self.signal_scale

    def to_heatmap(self, signal: Array) -> Array:
        """Map a signal back to heatmaps, clipped to [0, 1], whatever its shape."""
        return ((signal / self.signal_scale + 1) / 2).clip(0, 1)

    def decode(self, encoded: np.ndarray | torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Decode heatmaps, which need not be Gaussian, positive or at most 1.

        Args:
            encoded: (K, H, W) heatmaps, an array or a tensor on any device; left as they are.

        Returns:
            tuple: keypoints (1, K, 2) float32 in input pixels, always inside the crop, and
            scores (1, K) float32, the highest value of each heatmap clipped to [0, 1].

        Raises:
            ValueError: The shape is not (K, H, W), or a value is NaN or infinite.
        """
        keypoints, scores = self._decode(self._check('decode', encoded, 'K'))
        return keypoints[None], scores[None]

    def batch_decode(
        self, batch_encoded: np.ndarray | torch.Tensor
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Decode the heatmaps of B samples at once, equal to B calls of :meth:`decode`.

        Args:
            batch_encoded: (B, K, H, W) heatmaps, an array or a tensor on any device.

        Returns:
            tuple: B arrays of keypoints (1, K, 2) in input pixels and B arrays of scores (1, K).

        Raises:
            ValueError: As :meth:`decode`.
        """
        heatmaps = self._check('batch_decode', batch_encoded, 'B', 'K')
        keypoints, scores = self._decode(heatmaps.reshape(-1, *heatmaps.shape[2:]))
        return (
            list(keypoints.reshape(len(heatmaps), 1, -1, 2)),
            list(scores.reshape(len(heatmaps), 1, -1)),
        )

    def decode_hypotheses(self, heatmaps: np.ndarray | torch.Tensor) -> dict[str, np.ndarray]:
        """Decode S hypotheses of one sample: their mean heatmap, and each of them alone.

        Args:
            heatmaps: (S, K, H, W), an array or a tensor on any device; left as they are.

        Returns:
            dict: float32 arrays, coordinates in input pixels. ``keypoints`` (1, K, 2) and
            ``keypoint_scores`` (1, K) of the mean heatmap; ``hypotheses`` (1, S, K, 2) and
            ``hypothesis_scores`` (1, S, K); ``keypoint_std`` (1, K, 2), the population standard
            deviation of the hypotheses along x and y, 0 when S = 1.

        Raises:
            ValueError: As :meth:`decode`, for the shape (S, K, H, W) with S >= 1.
        """
        heatmaps = self._check('decode_hypotheses', heatmaps, 'S', 'K')
        num, joints = heatmaps.shape[:2]
        if num == 0:
            raise ValueError('DiffusionHeatmap.decode_hypotheses: no hypotheses, S must be >= 1')
        every = np.concatenate([heatmaps, heatmaps.mean(0, keepdims=True)]) if num > 1 else heatmaps
        keypoints, scores = self._decode(every.reshape(-1, *every.shape[2:]))
        keypoints = keypoints.reshape(-1, joints, 2)
        scores = scores.reshape(-1, joints)
        return {
            'keypoints': keypoints[-1:],
            'keypoint_scores': scores[-1:],
            'keypoint_std': keypoints[:num].std(0, keepdims=True),
            'hypotheses': keypoints[None, :num],
            'hypothesis_scores': scores[None, :num],
        }

    def _check(self, name: str, heatmaps: np.ndarray | torch.Tensor, *axes: str) -> np.ndarray:
        """Return heatmaps as a float32 array after a check of shape and values."""
        if isinstance(heatmaps, torch.Tensor):
            heatmaps = heatmaps.detach().float().cpu().numpy()
        heatmaps = np.asarray(heatmaps, dtype=np.float32)
        width, height = self.heatmap_size
        if heatmaps.ndim != len(axes) + 2 or heatmaps.shape[-2:] != (height, width):
            expected = ', '.join([*axes, str(height), str(width)])
            raise ValueError(
                f'DiffusionHeatmap.{name}: heatmaps have shape {heatmaps.shape}, but must be '
                f'({expected}) for heatmap_size={self.heatmap_size}'
            )
        if not np.isfinite(heatmaps).all():
            raise ValueError(
                f'DiffusionHeatmap.{name}: heatmaps hold NaN or infinite values; the model has '
                'diverged or its checkpoint is broken'
            )
        return heatmaps

    def _decode(self, heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode (M, H, W) to keypoints (M, 2) in input pixels and scores (M,)."""
        num, _, width = heatmaps.shape
        flat = heatmaps.reshape(num, -1)
        peak = flat.argmax(1)
        scores = flat[np.arange(num), peak].clip(0, 1)
        xy = self._refine(heatmaps, np.stack([peak % width, peak // width], 1)) * self._stride
        return xy.astype(np.float32), scores


def _size(name: str, size: Sequence[int]) -> tuple[int, int]:
    """Check a (width, height) and return it as two ints."""
    if len(size) != 2 or any(int(n) != n or n < 3 for n in size):
        raise ValueError(
            f'DiffusionHeatmap: {name}={size!r} must be (width, height), two integers above 2'
        )
    return int(size[0]), int(size[1])
