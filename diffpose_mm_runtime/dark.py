"""DARK, the refinement of a heatmap's peak by a blur and one Newton step (arXiv 1910.06278).

The heatmap is taken as zero outside, as mmpose's has it, which pulls a joint at the border up to
1.1 (sigma 2) or 1.8 (sigma 3) heatmap pixels inside. How far is known for the Gaussians of a codec,
and is taken off.
"""

from __future__ import annotations

import cv2
import numpy as np

# Newton's step starts at the highest pixel; further away (heatmap pixels, or sigmas if that is
# more) the quadratic model means nothing.
MAX_STEP = 2.0
# A blurred value below this share of the one at the peak counts as this share.
LOG_FLOOR = 1e-3


class Dark:
    """Refine the places of peaks by DARK, without its bias at the border.

    Args:
        size: (W, H) of the heatmaps.
        sigma: Standard deviation of their Gaussians in heatmap pixels.
        blur_kernel_size: Odd size in heatmap pixels of the blur.
    """

    def __init__(self, size: tuple[int, int], sigma: float, blur_kernel_size: int) -> None:
        self._size = size
        self._limits = np.array(size) - 1
        self._sigma = sigma
        self._kernel_size = blur_kernel_size
        self._max_step = max(MAX_STEP, sigma)
        # The same kernel as cv2.GaussianBlur(heatmap, (size, size), 0).
        self._kernel = cv2.getGaussianKernel(blur_kernel_size, 0, cv2.CV_64F)[:, 0]
        self._border_tables = [
            [self._border_table(center, length) for center in self._border_centers(length)]
            for length in size
        ]

    def __call__(self, heatmaps: np.ndarray, peaks: np.ndarray) -> np.ndarray:
        """Refine.

        Only elementwise operations and sums of fixed order touch the values, so that a heatmap's
        result is the same to the last bit whatever stands beside it.

        Args:
            heatmaps: (M, H, W) float32, finite.
            peaks: (M, 2) int, x and y of the highest pixel of each.

        Returns:
            np.ndarray: (M, 2) float64 in heatmap pixels, in [0, W - 1] x [0, H - 1].
        """
        # The derivatives need a neighbour on each side.
        center = peaks.clip(1, self._limits - 1)
        step = _newton_step(self._blurred_neighbourhood(heatmaps, center))
        xy = center + step.clip(-self._max_step, self._max_step)
        for axis, tables in enumerate(self._border_tables):
            for at, (biased, true) in tables:
                hit = center[:, axis] == at
                if hit.any():
                    xy[hit, axis] = np.interp(xy[hit, axis], biased, true)
        return xy.clip(0, self._limits)

    def _blurred_neighbourhood(self, heatmaps: np.ndarray, center: np.ndarray) -> np.ndarray:
        """Blur (M, H, W) with zeros around it, at the 3 x 3 pixels about (M, 2) only."""
        radius = self._kernel_size // 2
        window = np.arange(-radius - 1, radius + 2)
        (xs, x_inside), (ys, y_inside) = (
            (at.clip(0, n - 1), (at >= 0) & (at < n))
            for at, n in zip((center[:, :, None] + window).swapaxes(0, 1), self._size)
        )
        patches = heatmaps[np.arange(len(heatmaps))[:, None, None], ys[:, :, None], xs[:, None]]
        patches = patches * (y_inside[:, :, None] & x_inside[:, None]).astype(np.float64)
        rows = sum(k * patches[:, i : i + 3] for i, k in enumerate(self._kernel))
        return sum(k * rows[:, :, i : i + 3] for i, k in enumerate(self._kernel))

    def _border_centers(self, length: int) -> list[int]:
        """Pixels at which the blur and its two neighbours reach over the border of an axis."""
        radius = self._kernel_size // 2
        return [c for c in range(1, length - 1) if c <= radius or c >= length - 1 - radius]

    def _border_table(self, center: int, length: int) -> tuple[int, tuple[np.ndarray, np.ndarray]]:
        """Tabulate what DARK makes of true positions when it starts at a pixel near the border.

        A Gaussian and its blur are products of a function of x and one of y, so each axis has its
        own table: (biased positions, true positions), in heatmap pixels, both ascending.
        """
        first = max(center - self._max_step, 0)
        last = min(center + self._max_step, length - 1)
        true = np.linspace(first, last, int(128 * self._max_step) + 1)
        radius = self._kernel_size // 2
        at = center + np.arange(-radius - 1, radius + 2)
        profile = np.exp(-((at - true[:, None]) ** 2) / (2 * self._sigma**2))
        profile *= (at >= 0) & (at < length)
        low, mid, high = (
            np.log((profile[:, i : i + self._kernel_size] * self._kernel).sum(1)) for i in range(3)
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
    step, peaked = peak_of_quadratic(dx, dy, dxx / 2, dxy, dyy / 2)
    return np.where(peaked[:, None], step, 0)


def peak_of_quadratic(
    x: np.ndarray, y: np.ndarray, xx: np.ndarray, xy: np.ndarray, yy: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the highest point of polynomials from their coefficients of x, y, x^2, xy and y^2.

    Returns:
        tuple: (M, 2) points, and (M, ) whether there is one: the quadratic form is negative
        definite. Where it is not the point is 0.
    """
    dxx, dyy = 2 * xx, 2 * yy
    determinant = dxx * dyy - xy * xy
    peaked = (dxx < 0) & (dyy < 0) & (determinant > 1e-12)
    determinant = np.where(peaked, determinant, 1)
    point = np.stack([xy * y - dyy * x, xy * x - dxx * y], 1) / determinant[:, None]
    return np.where(peaked[:, None], point, 0), peaked
