"""Tokens of one crop of a frame, as another crop of it would have them."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def resample_tokens(tokens: Tensor, zoom: ArrayLike, shift: ArrayLike, size: ArrayLike) -> Tensor:
    """Tokens of a frame as another crop of it would have them, approximately.

    Where the crops differ by whole cells, tokens are moved as they are; else they are interpolated
    by cubic convolution. Cells that the old crop has not seen repeat the outermost one that it has.
    What the backbone would have made of the other surroundings is not known.

    Args:
        tokens: (V, D, H, W), the second view being that of the mirrored image.
        zoom, shift: (x, y); pixel p of the other crop is pixel ``zoom * p + shift`` of the one
            that was seen, in input pixels.
        size: (w, h) of the input.

    Returns:
        Tensor: (V, D, H, W).
    """
    height, width = tokens.shape[2:]
    scale, offset, pixels = (np.asarray(v, dtype=float) for v in (zoom, shift, size))
    views = []
    for view, view_tokens in enumerate(tokens):
        if view:
            offset = np.array([(pixels[0] - 1) * (1 - scale[0]) - offset[0], offset[1]])
        cell = pixels / (width, height)
        first = (cell - 1) / 2  # the middle of the first cell
        cells = (offset + (scale - 1) * first) / cell
        columns = interpolation_matrix(width, scale[0], cells[0])
        rows = interpolation_matrix(height, scale[1], cells[1])
        # One product over all cells is faster than one over each axis.
        views.append(view_tokens.flatten(1) @ torch.kron(rows, columns).T.to(tokens))
    return torch.stack(views).view_as(tokens)


def interpolation_matrix(count: int, zoom: float, shift: float) -> Tensor:
    """Cubic convolution along a row of cells, as a matrix.

    Cell i of the result is what stands at ``zoom * i + shift``, by the kernel of Keys (IEEE TASSP
    29(6), 1981, a = -1/2); the first and the last cell are repeated without end.

    Returns:
        Tensor: (count, count), float64.
    """
    position = zoom * torch.arange(count, dtype=torch.float64) + shift
    taps = position.floor()[:, None] + torch.arange(-1, 3)
    far = (position[:, None] - taps).abs()
    weights = torch.where(
        far < 1, (1.5 * far - 2.5) * far**2 + 1, ((2.5 - 0.5 * far) * far - 4) * far + 2
    )
    cells = taps.clamp(0, count - 1).long()
    return torch.zeros(count, count, dtype=torch.float64).scatter_add_(1, cells, weights)
