"""A temporal merge by a query for each joint, whose answer is put back into the keyframe's map."""

import torch
from mmengine.model.weight_init import trunc_normal_
from mmpose.registry import MODELS
from torch import Tensor, nn

from .keyframe_query_neck import KeyframeQueryNeck
from .transformer import QueryLayer, TransformerLayer


@MODELS.register_module()
class JointQueryNeck(KeyframeQueryNeck):
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
            num_layers,
            num_heads,
            mlp_ratio,
            out_channels,
            keyframe_index,
            init_cfg,
        )
        if num_keypoints < 1:
            raise ValueError(
                f'JointQueryNeck: num_keypoints must be at least 1, got {num_keypoints}'
            )
        self.joint_queries = nn.Parameter(torch.zeros(num_keypoints, embed_dims))
        trunc_normal_(self.joint_queries, std=0.02)
        options = (embed_dims, num_heads, mlp_ratio)
        self.among_joints = nn.ModuleList([TransformerLayer(*options) for _ in range(num_layers)])
        self.answers = nn.Sequential(
            nn.LayerNorm(embed_dims), nn.Linear(embed_dims, 2 * embed_dims)
        )
        self.put_back = QueryLayer(*options)

    def merge(self, keyframe: Tensor, kept: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The joints ask all frames, and the keyframe's tokens ask the joints."""
        joints = self.joint_queries.expand(keyframe.shape[0], -1, -1)
        for layer, among, (keys, values) in zip(self.layers, self.among_joints, kept):
            joints = among(layer(joints, keys, values))
        keys, values = self.answers(joints).chunk(2, dim=2)
        return self.put_back(keyframe, keys, values)
