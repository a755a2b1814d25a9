"""SpatioTemporal Representation Learner, STRL (paper section 3.1): T feature maps to one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from mmpose.registry import MODELS
from torch import Tensor, nn

from .transformer import TransformerLayer


@MODELS.register_module()
class SpatioTemporalNeck(BaseModule):
    """Merge the features of a clip's T frames into one spatiotemporal feature.

    Patch embedding, a learnable position embedding per frame *and* location, ``num_layers``
    pre-norm Transformer layers over all T*H*W tokens, then an MLP over the T tokens of a
    location: 𝔽 = MLP(LN F̃ᴸ). The paper fixes this order; widths, depth and heads are
    choices of this project.

    With ``num_frames=1`` this is the single-frame ablation of the same model. A model of more
    frames can start from the weights of such a one: every frame gets its position embedding, and
    the MLP reads the keyframe, taken to be in the middle, as before and the other frames not yet.

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
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ValueError: ``num_frames``, ``num_layers`` or a size is not positive; an input's shape
            does not fit ``num_frames``, ``in_channels`` and ``feature_size``; a checkpoint
            was trained with another number of frames, unless that is one.
    """

    def __init__(
        self,
        in_channels: int,
        feature_size: Sequence[int],
        num_frames: int = 5,
        embed_dims: int = 384,
        num_layers: int = 4,
        num_heads: int = 6,
        mlp_ratio: float = 4.0,
        out_channels: int | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        for field, value in (
            ('num_frames', num_frames),
            ('num_layers', num_layers),
            ('feature_size', min(feature_size)),
        ):
            if value < 1:
                raise ValueError(f'SpatioTemporalNeck: {field} must be at least 1, got {value}')
        self.in_channels = in_channels
        self.out_channels = out_channels or in_channels
        self.num_frames = num_frames
        self.feature_size = tuple(feature_size)
        width, height = self.feature_size

        self.patch_embed = nn.Conv2d(in_channels, embed_dims, kernel_size=1)
        self.position_embedding = nn.Parameter(torch.zeros(num_frames, embed_dims, height, width))
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
        trunc_normal_(self.position_embedding, std=0.02)
        self._register_load_state_dict_pre_hook(self._fit_checkpoint)

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

    def forward(self, feats: Tensor) -> Tensor:
        """Merge a batch of clips.

        Args:
            feats (Tensor): (N, T, C, H, W), frames in temporal order.

        Returns:
            Tensor: 𝔽, (N, out_channels, H, W).
        """
        width, height = self.feature_size
        expected = (self.num_frames, self.in_channels, height, width)
        if feats.dim() != 5 or tuple(feats.shape[1:]) != expected:
            raise ValueError(
                f'SpatioTemporalNeck expects (N, T, C, H, W) features with (T, C, H, W) = '
                f'{expected}, got {tuple(feats.shape)}: num_frames must be the number of '
                'frame_offsets, in_channels the width of the backbone and feature_size=(W, H) '
                'the input size over the stride of the backbone'
            )
        batch, frames = feats.shape[:2]
        return self.fuse(self.embed(feats.flatten(0, 1)).unflatten(0, (batch, frames)))

    def _inflate(self, state_dict: dict, prefix: str) -> None:
        """Turn the weights of a single-frame neck into weights for T frames, in place."""
        position, first = f'{prefix}position_embedding', f'{prefix}aggregate.0.weight'
        state_dict[position] = state_dict[position].expand(self.num_frames, -1, -1, -1).clone()
        single = state_dict[first]
        inflated = single.new_zeros(single.shape[0], self.num_frames, single.shape[1])
        inflated[:, self.num_frames // 2] = single
        state_dict[first] = inflated.flatten(1)
        print_log(
            f'{prefix[:-1] or "neck"}: inflated from one frame to {self.num_frames}',
            logger='current',
        )

    def _fit_checkpoint(self, state_dict: dict, prefix: str, *args) -> None:
        """Fit a checkpoint of another input size, or of one frame, to this neck, in place."""
        key = prefix + 'position_embedding'
        if key not in state_dict:
            return
        own = self.position_embedding
        if state_dict[key].shape[0] == 1 < self.num_frames:
            self._inflate(state_dict, prefix)
        loaded = state_dict[key]
        if loaded.shape[0] != own.shape[0]:
            raise ValueError(
                f'The checkpoint has {loaded.shape[0]} frames in {key}, the config has '
                f'num_frames={own.shape[0]}: use the frame_offsets it was trained with'
            )
        if loaded.shape[2:] == own.shape[2:]:
            return
        state_dict[key] = resize_position_embedding(loaded, tuple(own.shape[2:]))
        print_log(
            f'{key}: resized from {tuple(loaded.shape[2:])} to {tuple(own.shape[2:])} (H, W)',
            logger='current',
        )


def resize_position_embedding(embedding: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a (T, D, H, W) position embedding to ``size`` = (H', W'), bicubic, per frame."""
    resized = F.interpolate(embedding.float(), size=size, mode='bicubic', align_corners=False)
    return resized.to(embedding.dtype)
