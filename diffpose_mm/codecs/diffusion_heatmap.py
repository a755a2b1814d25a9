"""Keypoints to heatmaps to the diffusion signal and back: DiffPose sections 1 and 3.

Coordinates follow UDP (arXiv 1911.07524): input pixel 0 is heatmap pixel 0 and input pixel w - 1
is heatmap pixel W - 1. Decoding is DARK (arXiv 1910.06278).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS

__all__ = ['DiffusionHeatmap']

Array = TypeVar('Array', np.ndarray, torch.Tensor)

# Newton's step starts at the highest pixel; further away (heatmap pixels, or sigmas if that is
# more) the quadratic model means nothing.
MAX_STEP = 2.0
# A blurred value below this share of the one at the peak counts as this share.
LOG_FLOOR = 1e-3


@KEYPOINT_CODECS.register_module()
class DiffusionHeatmap(BaseKeypointCodec):
    """UDP heatmaps as the x0 of a diffusion, with DARK decoding of one or many hypotheses.

    ``decode`` is the exact inverse of ``encode``: for every joint in the crop, to its very border,
    the round trip errs by less than 0.02 input pixels at stride 4 (sigma of 0.75 and more; below
    it a Gaussian has too few pixels). Two things make the difference to mmpose's ``UDPHeatmap``:

    - Its ``decode`` stretches the crop to ``w`` input pixels where ``encode`` and ``TopdownAffine``
      have ``w - 1``, up to 1 input pixel at the far edge. Here input pixels are the same both ways,
      so an estimator maps them to the image by ``keypoints / (input_size - 1) * input_scale``
      (:attr:`input_extent`).
    - DARK blurs the heatmap, and at the border what lies outside counts as zeros: a joint at the
      border is decoded up to 1.1 (sigma 2) or 1.8 (sigma 3) heatmap pixels too far inside. How far
      is known for this codec's own Gaussians, and is taken off.

    Shapes: N = 1 instance, K joints, S hypotheses, heatmaps (K, H, W).

    Args:
        input_size: (w, h) of the crop in input pixels.
        heatmap_size: (W, H), of the same aspect as ``input_size``.
        sigma: Standard deviation of the Gaussians in heatmap pixels.
        signal_scale: s, the diffusion signal lies in [-s, s]. A smaller s buries the heatmaps
            deeper in the noise of a given step. The value of the paper is not known.
        blur_kernel_size: Odd size in heatmap pixels of DARK's blur. None takes what DARK uses:
            11 for sigma 2, 17 for sigma 3, and in proportion.

    Raises:
        ValueError: A size is not two integers above 2, the aspects differ, or ``sigma``,
            ``signal_scale`` or ``blur_kernel_size`` is out of range.
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
        self._max_step = max(MAX_STEP, self.sigma)
        self.input_extent = np.array(self.input_size, dtype=np.float64) - 1
        self._stride = self.input_extent / (np.array(self.heatmap_size) - 1)
        # The same kernel as cv2.GaussianBlur(heatmap, (size, size), 0).
        self._kernel = cv2.getGaussianKernel(blur_kernel_size, 0, cv2.CV_64F)[:, 0]
        self._border_tables = [
            [self._border_table(center, length) for center in self._border_centers(length)]
            for length in self.heatmap_size
        ]

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
        """Decode heatmaps with DARK, which need not be Gaussian, positive or at most 1.

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
        """Decode (M, H, W) to keypoints (M, 2) in input pixels and scores (M,).

        Only elementwise operations and sums of fixed order touch the values, so that a heatmap's
        result is the same to the last bit whatever stands beside it.
        """
        num, height, width = heatmaps.shape
        limits = np.array(self.heatmap_size) - 1
        flat = heatmaps.reshape(num, -1)
        peak = flat.argmax(1)
        scores = flat[np.arange(num), peak].clip(0, 1)
        # The derivatives need a neighbour on each side.
        center = np.stack([peak % width, peak // width], 1).clip(1, limits - 1)

        step = _newton_step(self._blurred_neighbourhood(heatmaps, center))
        xy = center + step.clip(-self._max_step, self._max_step)
        for axis, tables in enumerate(self._border_tables):
            for at, (biased, true) in tables:
                hit = center[:, axis] == at
                if hit.any():
                    xy[hit, axis] = np.interp(xy[hit, axis], biased, true)
        xy = xy.clip(0, limits) * self._stride
        return xy.astype(np.float32), scores

    def _blurred_neighbourhood(self, heatmaps: np.ndarray, center: np.ndarray) -> np.ndarray:
        """Blur (M, H, W) with zeros around it, at the 3 x 3 pixels about (M, 2) only."""
        radius = self.blur_kernel_size // 2
        window = np.arange(-radius - 1, radius + 2)
        (xs, x_inside), (ys, y_inside) = (
            (at.clip(0, n - 1), (at >= 0) & (at < n))
            for at, n in zip((center[:, :, None] + window).swapaxes(0, 1), self.heatmap_size)
        )
        patches = heatmaps[np.arange(len(heatmaps))[:, None, None], ys[:, :, None], xs[:, None]]
        patches = patches * (y_inside[:, :, None] & x_inside[:, None]).astype(np.float64)
        rows = sum(k * patches[:, i : i + 3] for i, k in enumerate(self._kernel))
        return sum(k * rows[:, :, i : i + 3] for i, k in enumerate(self._kernel))

    def _border_centers(self, length: int) -> list[int]:
        """Pixels at which the blur and its two neighbours reach over the border of an axis."""
        radius = self.blur_kernel_size // 2
        return [c for c in range(1, length - 1) if c <= radius or c >= length - 1 - radius]

    def _border_table(self, center: int, length: int) -> tuple[int, tuple[np.ndarray, np.ndarray]]:
        """Tabulate what DARK makes of true positions when it starts at a pixel near the border.

        A Gaussian and its blur are products of a function of x and one of y, so each axis has its
        own table: (biased positions, true positions), in heatmap pixels, both ascending.
        """
        first = max(center - self._max_step, 0)
        last = min(center + self._max_step, length - 1)
        true = np.linspace(first, last, int(128 * self._max_step) + 1)
        radius = self.blur_kernel_size // 2
        at = center + np.arange(-radius - 1, radius + 2)
        profile = np.exp(-((at - true[:, None]) ** 2) / (2 * self.sigma**2))
        profile *= (at >= 0) & (at < length)
        low, mid, high = (
            np.log((profile[:, i : i + self.blur_kernel_size] * self._kernel).sum(1))
            for i in range(3)
        )
        biased = center - 0.5 * (high - low) / (high - 2 * mid + low)
        return center, (biased, true)


def _newton_step(blurred: np.ndarray) -> np.ndarray:
    """Find where the log of 3 x 3 values (M, 3, 3) peaks, DARK (arXiv 1910.06278) equation 7.

    Returns (M, 2) steps in x and y from the middle value, in heatmap pixels. Where the values
    have no peak (the Hessian is not negative definite) the step is 0.
    """
    middle = blurred[:, 1, 1]
    floor = np.maximum(LOG_FLOOR * middle, np.finfo(np.float32).tiny)
    log = np.log(np.maximum(blurred, floor[:, None, None]))
    mid, left, right, up, down = (log[:, y, x] for y, x in ((1, 1), (1, 0), (1, 2), (0, 1), (2, 1)))
    dx, dy = (right - left) / 2, (down - up) / 2
    dxx, dyy = right - 2 * mid + left, down - 2 * mid + up
    dxy = (log[:, 2, 2] - right - down + 2 * mid - left - up + log[:, 0, 0]) / 2
    determinant = dxx * dyy - dxy * dxy
    peaked = (dxx < 0) & (dyy < 0) & (determinant > 1e-12)
    determinant = np.where(peaked, determinant, 1)
    step = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], 1) / determinant[:, None]
    return np.where(peaked[:, None], step, 0)


def _size(name: str, size: Sequence[int]) -> tuple[int, int]:
    """Check a (width, height) and return it as two ints."""
    if len(size) != 2 or any(int(n) != n or n < 3 for n in size):
        raise ValueError(
            f'DiffusionHeatmap: {name}={size!r} must be (width, height), two integers above 2'
        )
    return int(size[0]), int(size[1])
