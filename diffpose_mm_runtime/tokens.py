"""Tokens of one crop of a frame, as another crop of it would have them."""

import numpy as np
from numpy.typing import ArrayLike


def resampling_matrices(
    shape: tuple[int, int], views: int, zoom: ArrayLike, shift: ArrayLike, size: ArrayLike
) -> list[np.ndarray]:
    """For each view, the matrix (H*W, H*W) from the cells of one crop to those of another.

    Args:
        shape: (H, W).
        views: 1, or 2 with the mirrored image.
        zoom, shift, size: See ``diffpose_mm.apis.tokens.resample_tokens``.
    """
    height, width = shape
    scale, offset, pixels = (np.asarray(v, dtype=float) for v in (zoom, shift, size))
    matrices = []
    for view in range(views):
        if view:
            offset = np.array([(pixels[0] - 1) * (1 - scale[0]) - offset[0], offset[1]])
        cell = pixels / (width, height)
        first = (cell - 1) / 2  # the middle of the first cell
        cells = (offset + (scale - 1) * first) / cell
        columns = interpolation_matrix(width, scale[0], cells[0])
        rows = interpolation_matrix(height, scale[1], cells[1])
        # One product over all cells is faster than one over each axis.
        matrices.append(np.kron(rows, columns).T)
    return matrices


def interpolation_matrix(count: int, zoom: float, shift: float) -> np.ndarray:
    """Cubic convolution along a row of cells, as a matrix.

    Cell i of the result is what stands at ``zoom * i + shift``, by the kernel of Keys (IEEE TASSP
    29(6), 1981, a = -1/2); the first and the last cell are repeated without end.

    Returns:
        np.ndarray: (count, count), float64.
    """
    position = zoom * np.arange(count) + shift
    taps = np.floor(position)[:, None] + np.arange(-1, 3)
    far = np.abs(position[:, None] - taps)
    weights = np.where(
        far < 1, (1.5 * far - 2.5) * far**2 + 1, ((2.5 - 0.5 * far) * far - 4) * far + 2
    )
    cells = taps.clip(0, count - 1).astype(int)
    matrix = np.zeros((count, count))
    np.add.at(matrix, (np.arange(count)[:, None], cells), weights)
    return matrix
