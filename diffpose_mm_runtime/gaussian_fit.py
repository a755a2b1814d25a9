"""The place of a joint as the centre of a Gaussian fitted to its peak, whatever stands beside it.

DARK (arXiv 1910.06278) blurs the heatmap before it looks for the peak. A wide blur takes the noise
away and lets a second peak near by pull the joint; a narrow blur does the opposite. Here a Gaussian
of any height, width and direction is fitted by weighted least squares, which averages noise as the
wide blur does, to those pixels alone that belong to it: pixels far above the fit are those of
another peak, or of the other side's limb, and are left out. Pixels outside the heatmap are no
pixels, so the border needs no correction.
"""

from __future__ import annotations

import numpy as np

from .dark import MAX_STEP, peak_of_quadratic

# What is fitted at first and at last, in sigmas around the maximum.
MIDDLE, REACH = 1.2, 2.75
# Iterations over the whole window, until no coefficient changes by more than this.
ITERATIONS = 3
CONVERGED = 0.005
# A pixel is of another peak if it is above the fit by this share of the height at first; then by
# so many standard deviations of the noise, within these limits.
FIRST_TOLERANCE = 0.15
DEVIATIONS = 3.5
TOLERANCES = 0.002, 0.35
# How far the width of a heatmap may be from the codec's: standard deviation of the coefficients of
# the quadratic form, which are -1/2 for the codec's own Gaussian. It counts as much as the noise
# makes the width uncertain, so not at all where there is no noise.
WIDTH_DEVIATION = 0.03
# Its weight at first, against pixels at the peak, of weight 1.
FIRST_PRIOR = 0.3
# Noise is read where the fit is higher than this share of its height.
SEEN = 0.1
# The start takes logarithms of shares of the height that are at least this.
LOWEST = 1e-3
# The logarithm of a fit, in shares of the height, is nowhere taken as more.
HIGHEST = 0.3
# Heatmaps worked on at once: few enough to stay in the processor's cache.
CHUNK = 256
# So that normal equations can be solved whatever is left out, of weight 1 a pixel at the peak.
REGULAR = 1e-7 * np.eye(6).ravel()


class GaussianFit:
    """Refine the places of peaks by robust fits of Gaussians.

    The logarithm of a Gaussian is a quadratic polynomial in x and y. Its six coefficients are
    found by Gauss-Newton steps of the least squares in the values themselves, so a pixel counts by
    its height and may be negative. The first fit takes the pixels next to the maximum, the
    following ones more. Deviation of the noise: from the pixels below the fit, which a second peak
    does not reach.

    Args:
        size: (W, H) of the heatmaps.
        sigma: Standard deviation, in heatmap pixels, that the heatmaps are expected to have. A
            heatmap without noise may have any other.
    """

    def __init__(self, size: tuple[int, int], sigma: float) -> None:
        self._limits = np.array(size) - 1
        self._sigma = sigma
        self._max_step = max(MAX_STEP, sigma)
        reach = max(int(REACH * sigma), 2)
        at = np.arange(-reach, reach + 1)
        x, y = (values.ravel() for values in np.meshgrid(at, at))
        squares = x**2 + y**2
        # From the middle outwards, so that the first so many pixels are those of a smaller window.
        order = np.lexsort((x, y, squares))[: (squares <= max((REACH * sigma) ** 2, 5)).sum()]
        x, y, squares = x[order], y[order], squares[order]
        # Where the pixels lie for each place of the middle, and whether that is in the heatmap.
        (columns, self._in_row), (rows, self._in_column) = (
            (at.clip(0, n - 1), (at >= 0) & (at < n))
            for at, n in ((np.arange(n)[:, None] + step, n) for step, n in zip((x, y), size))
        )
        self._columns, self._rows = columns, rows * size[0]
        self._middle = int((squares <= max((MIDDLE * sigma) ** 2, 5)).sum())
        u, v = x / sigma, y / sigma
        self._basis = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v]).astype(np.float32)
        # Products of two of them are 15 moments, the basis itself first.
        powers = [(i, n - i) for n in range(5) for i in range(n, -1, -1)]
        self._moments = np.stack([u**i * v**j for i, j in powers], 1).astype(np.float32)
        first = np.array(powers[:6])
        self._of_pair = np.array(
            [powers.index((i, j)) for a in first for i, j in (first + a).tolist()]
        )
        self._prior = np.array([0, 0, 0, -0.5, 0, -0.5])
        self._widths = np.array([0.0, 0, 0, 1, 1, 1])
        self._prior_pairs = np.diag(self._widths).ravel()
        # At first a plane through the 3 x 3 logarithms, of which the codec's own bend is taken off.
        plane = np.zeros((9, 6))
        plane[:, :3] = np.linalg.pinv(self._basis[:3, :9]).astype(np.float64)
        self._start_plane = plane
        self._start_bend = squares[:9] / (2 * sigma**2)
        self._of_sigma = sigma ** np.array([1, 1, 2, 2, 2])

    def __call__(self, heatmaps: np.ndarray, peaks: np.ndarray) -> np.ndarray:
        """Refine.

        A heatmap's result does not depend, to the last bit, on the heatmaps beside it.

        Args:
            heatmaps: (M, H, W) float32, finite.
            peaks: (M, 2) int, x and y of the highest pixel of each.

        Returns:
            np.ndarray: (M, 2) float64 in heatmap pixels, in [0, W - 1] x [0, H - 1]. A heatmap
            without a positive value keeps its peak.
        """
        # Of the pixels at the start there are enough to all sides only inside.
        center = peaks.clip(1, self._limits - 1)
        theta = np.concatenate(
            [
                self._fit(*self._window(heatmaps[i : i + CHUNK], center[i : i + CHUNK]))
                for i in range(0, len(heatmaps), CHUNK)
            ]
            or [np.zeros((0, 6))]
        )
        step, peaked = peak_of_quadratic(*(theta[:, 1:] / self._of_sigma).T)
        peaked &= heatmaps[np.arange(len(heatmaps)), peaks[:, 1], peaks[:, 0]] > 0
        step = np.where(peaked[:, None], step, peaks - center)
        return (center + step.clip(-self._max_step, self._max_step)).clip(0, self._limits)

    def _window(self, heatmaps: np.ndarray, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (M, P) around the centres in shares of the peak, and which are in the heatmap."""
        x, y = center.T
        inside = self._in_row[x] & self._in_column[y]
        at = self._columns[x] + self._rows[y]
        heights = np.take_along_axis(heatmaps.reshape(len(heatmaps), -1), at, 1)
        top = heights.max(1, keepdims=True)
        top = np.where(top > 0, top, 1)
        return np.maximum(heights, -top) / top, inside

    def _fit(self, heights: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Coefficients (M, 6) of the logarithm of each Gaussian over (x, y) / sigma."""
        near = np.log(np.maximum(heights[:, :9], LOWEST))
        theta = _times(near + self._start_bend, self._start_plane) + self._prior
        theta = self._improve(theta, heights, inside, self._middle, first=True)
        moving = np.arange(len(theta))
        for iteration in range(ITERATIONS):
            some = slice(None) if len(moving) == len(theta) else moving
            new = self._improve(theta[some], heights[some], inside[some], heights.shape[1])
            if iteration > 0:
                moving = moving[np.abs(new - theta[some]).max(1) > CONVERGED]
            theta[some] = new
            if not len(moving):
                break
        return theta

    def _improve(
        self,
        theta: np.ndarray,
        heights: np.ndarray,
        inside: np.ndarray,
        number: int,
        first: bool = False,
    ) -> np.ndarray:
        """One Gauss-Newton step over the innermost pixels of a number."""
        heights, inside = heights[:, :number], inside[:, :number]
        fit = _times(theta.astype(np.float32), self._basis[:, :number])
        np.exp(np.minimum(fit, HIGHEST, out=fit), out=fit)
        residual = heights - fit
        if first:
            used = inside & (residual <= FIRST_TOLERANCE)
            prior = np.full(len(theta), FIRST_PRIOR)
        else:
            noise = _deviation(residual, inside & (fit > SEEN))
            tolerance = np.minimum(np.maximum(DEVIATIONS * noise, TOLERANCES[0]), TOLERANCES[1])
            used = inside & (residual <= tolerance[:, None])
            prior = (noise / WIDTH_DEVIATION) ** 2
        terms = np.empty((len(theta), 2, number), np.float32)
        part = fit * used
        np.multiply(part, fit, out=terms[:, 0])
        np.multiply(part, residual, out=terms[:, 1])
        moments = (terms @ self._moments[:number]).astype(np.float64)
        matrix = moments[:, 0].take(self._of_pair, 1) + prior[:, None] * self._prior_pairs
        matrix += REGULAR
        right = moments[:, 1, :6] + prior[:, None] * (self._widths * (self._prior - theta))
        return theta + np.linalg.solve(matrix.reshape(-1, 6, 6), right[..., None])[..., 0]


def _times(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Each row times the matrix by itself: the order of a sum must not depend on their number."""
    return (rows[:, None] @ matrix)[:, 0]


def _deviation(residual: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Standard deviation (M, ) of noise from those of the pixels seen that are below the fit."""
    below = seen & (residual <= 0)
    squares = np.square(residual * below).sum(1, dtype=np.float64)
    # Twice as many pixels have noise of both signs; five degrees of freedom are the fit's.
    return np.sqrt(2 * squares / np.maximum(2 * below.sum(1) - 5, 1))
