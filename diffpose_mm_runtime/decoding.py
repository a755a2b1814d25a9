"""Heatmaps to keypoints, and the signal that the diffusion has in place of heatmaps.

Coordinates follow UDP (arXiv 1911.07524): input pixel 0 is heatmap pixel 0 and input pixel w - 1
is heatmap pixel W - 1. Decoding is a fit of Gaussians, or DARK (arXiv 1910.06278).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .dark import Dark
from .gaussian_fit import GaussianFit

DECODINGS = ('gaussian_fit', 'dark')


class HeatmapDecoding:
    """The half of the codec ``DiffusionHeatmap`` that inference needs; its docstring has the rest.

    Args, attributes and errors are those of the codec.
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float = 2.0,
        signal_scale: float = 0.5,
        blur_kernel_size: int | None = None,
        decoding: str = 'gaussian_fit',
    ) -> None:
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

    def to_signal(self, heatmaps: Any) -> Any:
        """Map heatmaps in [0, 1] to the diffusion signal in [-s, s], whatever their shape."""
        return (heatmaps * 2 - 1) * self.signal_scale

    def to_heatmap(self, signal: Any) -> Any:
        """Map a signal back to heatmaps, clipped to [0, 1], whatever its shape."""
        return ((signal / self.signal_scale + 1) / 2).clip(0, 1)

    def decode(self, encoded: Any) -> tuple[np.ndarray, np.ndarray]:
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

    def batch_decode(self, batch_encoded: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
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

    def decode_hypotheses(self, heatmaps: Any) -> dict[str, np.ndarray]:
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

    def _check(self, name: str, heatmaps: Any, *axes: str) -> np.ndarray:
        """Return heatmaps as a float32 array after a check of shape and values."""
        if hasattr(heatmaps, 'detach'):  # a tensor of torch
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
