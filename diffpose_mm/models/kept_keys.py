"""Keys and values of single frames, which a stream computes once and keeps."""

import torch
from torch import Tensor, nn


class KeptKeys(nn.Module):
    """Keys and values of a frame's tokens for each layer of queries, one frame at a time.

    Args:
        embed_dims (int): Width D of a token.
        num_layers (int): Layers that read them, each with a projection of its own.
    """

    def __init__(self, embed_dims: int, num_layers: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dims)
        self.project = nn.Linear(embed_dims, 2 * num_layers * embed_dims)
        self.num_layers = num_layers

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, D, H, W) -> (B, (1 + 2L) D, H, W): with keys and values."""
        kept = self.project(self.norm(tokens.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        return torch.cat((tokens, kept), dim=1)

    def split(self, kept: Tensor, positions: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Undo the packing of clips, and give the keys their places.

        Args:
            kept: (N, T, (1 + 2L) D, H, W), what ``forward`` gave for each frame.
            positions: (T, D, H, W), added to the keys of every layer.

        Returns:
            Tokens (N, T, D, H, W); for each layer keys and values, each (N, T*H*W, D).
        """
        tokens, *parts = kept.chunk(1 + 2 * self.num_layers, dim=2)

        def listed(part: Tensor) -> Tensor:
            return part.flatten(3).transpose(2, 3).flatten(1, 2)

        pairs = zip(parts[::2], parts[1::2], strict=True)
        return tokens, [(listed(key + positions), listed(value)) for key, value in pairs]
