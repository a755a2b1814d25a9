"""A temporal merge whose neighbours are only read: queries of the keyframe over all frames."""

from mmpose.registry import MODELS
from torch import Tensor, nn

from .kept_keys import KeptKeys
from .positioned_neck import PositionedClipNeck
from .transformer import QueryLayer


@MODELS.register_module()
class KeyframeQueryNeck(PositionedClipNeck):
    """Merge a clip by queries of the keyframe alone.

    Patch embedding of each frame; then ``num_layers`` layers in which the H*W tokens of the
    keyframe attend to the tokens of all T frames, each key with the place (frame and location) that
    it has in the clip; then an MLP. Keys and values depend on one frame alone, so a stream computes
    them once (:meth:`embed`) and a window costs the keyframe's queries only, about 1/T of attention
    among all tokens. With ``frame_offsets`` that end at 0 and ``keyframe_index=num_frames - 1`` it
    is causal. The paper merges by :class:`SpatioTemporalNeck`; this is a choice of this project.

    Args:
        in_channels (int): Channels C of the backbone's feature.
        feature_size (tuple[int, int]): (W, H) of the backbone's feature: the input size over
            the backbone's stride.
        num_frames (int): T. Defaults to 5.
        embed_dims (int): Width D of a token. Defaults to 384.
        num_layers (int): L. Defaults to 2.
        num_heads (int): Attention heads. Defaults to 6.
        mlp_ratio (float): Hidden width of a layer's FFN over D. Defaults to 4.
        out_channels (int, optional): Channels of the merged feature. Defaults to ``in_channels``.
        keyframe_index (int, optional): Place of the keyframe among the T frames. Defaults to the
            middle, ``num_frames // 2``.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ValueError: As :class:`SpatioTemporalNeck`.
    """

    def __init__(
        self,
        in_channels: int,
        feature_size: tuple[int, int],
        num_frames: int = 5,
        embed_dims: int = 384,
        num_layers: int = 2,
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
            raise ValueError(
                f'{type(self).__name__}: num_layers must be at least 1, got {num_layers}'
            )
        self.patch_embed = nn.Conv2d(in_channels, embed_dims, kernel_size=1)
        self.kept_keys = KeptKeys(embed_dims, num_layers)
        self.layers = nn.ModuleList(
            [QueryLayer(embed_dims, num_heads, mlp_ratio) for _ in range(num_layers)]
        )
        self.norm = nn.LayerNorm(embed_dims)
        hidden = 2 * max(embed_dims, self.out_channels)
        self.aggregate = nn.Sequential(
            nn.Linear(embed_dims, hidden), nn.GELU(), nn.Linear(hidden, self.out_channels)
        )

    def embed(self, feats: Tensor) -> Tensor:
        """(B, C, H, W) features -> (B, (1 + 2L) D, H, W) tokens with their keys and values."""
        return self.kept_keys(self.patch_embed(feats))

    def fuse(self, tokens: Tensor) -> Tensor:
        """Queries, and the MLP: (N, T, (1 + 2L) D, H, W) -> (N, C, H, W)."""
        height, width = tokens.shape[3:]
        places = self.position_embedding
        frames, kept = self.kept_keys.split(tokens, places)
        keyframe = frames[:, self.keyframe_index] + places[self.keyframe_index]
        merged = self.merge(keyframe.flatten(2).transpose(1, 2), kept)
        merged = self.aggregate(self.norm(merged))
        return merged.transpose(1, 2).unflatten(2, (height, width))

    def merge(self, keyframe: Tensor, kept: list[tuple[Tensor, Tensor]]) -> Tensor:
        """What the clip adds to the keyframe's tokens.

        Args:
            keyframe: (N, H*W, D), with their places.
            kept: For each layer keys and values of all frames, each (N, T*H*W, D).

        Returns:
            (N, H*W, D).
        """
        for layer, (keys, values) in zip(self.layers, kept):
            keyframe = layer(keyframe, keys, values)
        return keyframe
