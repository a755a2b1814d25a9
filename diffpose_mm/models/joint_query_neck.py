"""A temporal merge by a query for each joint, whose answer is put back into the keyframe's map."""

import torch
from mmengine.model.weight_init import trunc_normal_
from mmpose.registry import MODELS
from torch import Tensor, nn

from .kept_keys import KeptKeys
from .positioned_neck import PositionedClipNeck
from .transformer import QueryLayer, TransformerLayer


@MODELS.register_module()
class JointQueryNeck(PositionedClipNeck):
    """Merge a clip by one query a joint.

    Patch embedding of each frame; then ``num_layers`` rounds in which K learned queries attend to
    the tokens of all T frames, each key with its place in the clip, and to each other; then the
    tokens of the keyframe attend to the K answers, each once, and an MLP follows. A window
    costs K queries over the clip in place of H*W, and the keys and values of a frame are
    computed once (:meth:`embed`), as in :class:`KeyframeQueryNeck`.

    Args:
        num_keypoints (int): K, or any number of queries.
        Others as in :class:`KeyframeQueryNeck`.

    Raises:
        ValueError: As :class:`KeyframeQueryNeck`; ``num_keypoints`` is not positive.
    """

    def __init__(
        self,
        in_channels: int,
        feature_size: tuple[int, int],
        num_keypoints: int,
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
        for field, value in (('num_layers', num_layers), ('num_keypoints', num_keypoints)):
            if value < 1:
                raise ValueError(f'JointQueryNeck: {field} must be at least 1, got {value}')
        self.patch_embed = nn.Conv2d(in_channels, embed_dims, kernel_size=1)
        self.kept_keys = KeptKeys(embed_dims, num_layers)
        self.joint_queries = nn.Parameter(torch.zeros(num_keypoints, embed_dims))
        trunc_normal_(self.joint_queries, std=0.02)
        options = (embed_dims, num_heads, mlp_ratio)
        self.layers = nn.ModuleList([QueryLayer(*options) for _ in range(num_layers)])
        self.among_joints = nn.ModuleList([TransformerLayer(*options) for _ in range(num_layers)])
        self.answers = nn.Sequential(
            nn.LayerNorm(embed_dims), nn.Linear(embed_dims, 2 * embed_dims)
        )
        self.put_back = QueryLayer(*options)
        self.norm = nn.LayerNorm(embed_dims)
        hidden = 2 * max(embed_dims, self.out_channels)
        self.aggregate = nn.Sequential(
            nn.Linear(embed_dims, hidden), nn.GELU(), nn.Linear(hidden, self.out_channels)
        )

    def embed(self, feats: Tensor) -> Tensor:
        """(B, C, H, W) features -> (B, (1 + 2L) D, H, W) tokens with their keys and values."""
        return self.kept_keys(self.patch_embed(feats))

    def fuse(self, tokens: Tensor) -> Tensor:
        """Queries of the joints, answers into the map: (N, T, (1 + 2L) D, H, W) -> (N, C, H, W)."""
        height, width = tokens.shape[3:]
        places = self.position_embedding
        frames, kept = self.kept_keys.split(tokens, places)
        joints = self.joint_queries.expand(tokens.shape[0], -1, -1)
        for layer, among, (keys, values) in zip(self.layers, self.among_joints, kept):
            joints = among(layer(joints, keys, values))
        keys, values = self.answers(joints).chunk(2, dim=2)
        place = frames[:, self.keyframe_index] + places[self.keyframe_index]
        merged = self.put_back(place.flatten(2).transpose(1, 2), keys, values)
        merged = self.aggregate(self.norm(merged))
        return merged.transpose(1, 2).unflatten(2, (height, width))
