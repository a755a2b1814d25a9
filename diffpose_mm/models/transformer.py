"""Pre-norm Transformer layers: over all tokens (paper section 3.1, step 4; also SeRef in section
3.2), and of queries over tokens that are kept.

The paper's neck and the stride-16 scale of the pose decoder use the same layer.
"""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn


class SelfAttention(BaseModule):
    """Multi-head self-attention over all tokens of a sample.

    Args:
        embed_dims (int): Width D of a token.
        num_heads (int): Number of heads; must divide D.

    Raises:
        ValueError: ``num_heads`` does not divide ``embed_dims``.
    """

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, tokens: Tensor) -> Tensor:
        """Attend: (B, L, D) -> (B, L, D)."""
        batch, length, dims = tokens.shape
        qkv = self.qkv(tokens).view(batch, length, 3, self.num_heads, dims // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value)
        return self.proj(out.transpose(1, 2).reshape(batch, length, dims))


class TransformerLayer(BaseModule):
    """One pre-norm layer: x' = x + MHSA(LN x); x = x' + FFN(LN x').

    Args:
        embed_dims (int): Width D of a token, the same before and after.
        num_heads (int): Number of attention heads.
        mlp_ratio (float): Hidden width of the FFN in units of D.
    """

    def __init__(self, embed_dims: int, num_heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        hidden = int(embed_dims * mlp_ratio)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.attn = SelfAttention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.ffn = nn.Sequential(
            nn.Linear(embed_dims, hidden), nn.GELU(), nn.Linear(hidden, embed_dims)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply the layer: (B, L, D) -> (B, L, D)."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.ffn(self.norm2(tokens))


class QueryLayer(BaseModule):
    """A pre-norm layer whose queries attend to tokens that do not change from layer to layer.

    x' = x + MHA(LN x; keys, values); x = x' + FFN(LN x'). Keys and values are given, so that they
    can be computed once for a frame and kept.

    Args:
        embed_dims (int): Width D of queries, keys and values.
        num_heads (int): Number of attention heads; must divide D.
        mlp_ratio (float): Hidden width of the FFN in units of D.

    Raises:
        ValueError: ``num_heads`` does not divide ``embed_dims``.
    """

    def __init__(self, embed_dims: int, num_heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        hidden = int(embed_dims * mlp_ratio)
        self.num_heads = num_heads
        self.norm1 = nn.LayerNorm(embed_dims)
        self.query = nn.Linear(embed_dims, embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.ffn = nn.Sequential(
            nn.Linear(embed_dims, hidden), nn.GELU(), nn.Linear(hidden, embed_dims)
        )

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Queries (B, Q, D), keys and values (B, L, D) -> (B, Q, D)."""
        parts = (self.query(self.norm1(queries)), keys, values)
        heads = [part.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for part in parts]
        out = F.scaled_dot_product_attention(*heads)
        queries = queries + self.proj(out.transpose(1, 2).flatten(2))
        return queries + self.ffn(self.norm2(queries))


def check_heads(embed_dims: int, num_heads: int) -> None:
    """Raise unless attention can be split into so many heads."""
    if embed_dims % num_heads:
        raise ValueError(
            f'num_heads={num_heads} does not divide embed_dims={embed_dims}: choose a '
            'number of heads that does'
        )
