"""SpatioTemporal Representation Learner, STRL (paper section 3.1): T feature maps to one."""

from mmpose.registry import MODELS
from torch import Tensor, nn

from .positioned_neck import PositionedClipNeck
from .transformer import TransformerLayer


@MODELS.register_module()
class SpatioTemporalNeck(PositionedClipNeck):
    """Merge the features of a clip's T frames into one spatiotemporal feature.

    Patch embedding, a learnable position embedding per frame *and* location, ``num_layers``
    pre-norm Transformer layers over all T*H*W tokens, then an MLP over the T tokens of a
    location: 𝔽 = MLP(LN F̃ᴸ). The paper fixes this order; widths, depth and heads are
    choices of this project.

    With ``num_frames=1`` this is the single-frame ablation of the same model. A model of more
    frames can start from the weights of such a one: every frame gets its position embedding, and
    the MLP reads the keyframe (``keyframe_index``) as before and the other frames not yet.

    Args:
        in_channels (int): Channels C of the backbone's feature.
        feature_size (tuple[int, int]): (W, H) of the backbone's feature: the input size over
            the backbone's stride.
        num_frames (int): T. Defaults to 5.
        embed_dims (int): Width D of a token. Defaults to 384.
        num_layers (int): L. Defaults to 4.
        num_heads (int): Attention heads. Defaults to 6.
        mlp_ratio (float): Hidden width of a layer's FFN over D. Defaults to 4.
        out_channels (int, optional): Channels of 𝔽. Defaults to ``in_channels``, as in the
            paper.
        keyframe_index (int, optional): Place of the keyframe among the T frames. Defaults to the
            middle, ``num_frames // 2``.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ValueError: ``num_frames``, ``num_layers`` or a size is not positive; an input's shape
            does not fit ``num_frames``, ``in_channels`` and ``feature_size``; a checkpoint
            was trained with another number of frames, unless that is one.
    """

    def __init__(
        self,
        in_channels: int,
        feature_size: tuple[int, int],
        num_frames: int = 5,
        embed_dims: int = 384,
        num_layers: int = 4,
        num_heads: int = 6,
        mlp_ratio: float = 4.0,
        out_channels: int | None = None,
        keyframe_index: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            feature_size,
            num_frames,
            embed_dims,
            out_channels,
            keyframe_index,
            init_cfg,
        )
        if num_layers < 1:
            raise ValueError(f'SpatioTemporalNeck: num_layers must be at least 1, got {num_layers}')

        self.patch_embed = nn.Conv2d(in_channels, embed_dims, kernel_size=1)
        self.layers = nn.ModuleList(
            [TransformerLayer(embed_dims, num_heads, mlp_ratio) for _ in range(num_layers)]
        )
        self.norm = nn.LayerNorm(embed_dims)
        hidden = 2 * max(embed_dims, self.out_channels)
        self.aggregate = nn.Sequential(
            nn.Linear(num_frames * embed_dims, hidden),
            nn.GELU(),
            nn.Linear(hidden, self.out_channels),
        )

    def embed(self, feats: Tensor) -> Tensor:
        """Patch embedding: (B, C, H, W) features -> (B, D, H, W) maps of tokens.

        It sees one frame at a time, so a stream may keep its result for a frame.
        """
        return self.patch_embed(feats)

    def fuse(self, tokens: Tensor) -> Tensor:
        """Position embedding, Transformer and MLP: (N, T, D, H, W) tokens -> (N, C, H, W)."""
        batch, frames, dims, height, width = tokens.shape
        tokens = (tokens + self.position_embedding).flatten(3).transpose(2, 3)
        tokens = tokens.reshape(batch, frames * height * width, dims)
        for layer in self.layers:
            tokens = layer(tokens)
        tokens = self.norm(tokens).view(batch, frames, height * width, dims)
        tokens = tokens.transpose(1, 2).reshape(batch, height * width, frames * dims)
        return self.aggregate(tokens).transpose(1, 2).reshape(batch, -1, height, width)

    def inflate(self, state_dict: dict, prefix: str) -> None:
        """As the base class; the MLP reads the keyframe as before and the others not yet."""
        super().inflate(state_dict, prefix)
        first = f'{prefix}aggregate.0.weight'
        single = state_dict[first]
        inflated = single.new_zeros(single.shape[0], self.num_frames, single.shape[1])
        inflated[:, self.keyframe_index] = single
        state_dict[first] = inflated.flatten(1)
