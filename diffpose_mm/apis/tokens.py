"""Tokens of one crop of a frame, as another crop of it would have them."""

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from diffpose_mm_runtime.tokens import interpolation_matrix, resampling_matrices

__all__ = ['interpolation_matrix', 'resample_tokens']


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
    matrices = resampling_matrices((height, width), len(tokens), zoom, shift, size)
    views = [
        view.flatten(1) @ torch.from_numpy(matrix).to(tokens)
        for view, matrix in zip(tokens, matrices)
    ]
    return torch.stack(views).view_as(tokens)
