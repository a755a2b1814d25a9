"""MoveNet with its answers as a feature: what a frame looks like, and where its joints seem to be.

A neck that merges frames by what they look like finds the elbow of another frame, not its place.
Here each frame says its places itself, so that a neck can carry them over time.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from .movenet_backbone import PYRAMID, MoveNetBackbone
from .movenet_head import answers_of, expected_joints
from .movenet_layers import Branch

STRIDE = 4
"""Heatmap pixels to a place of the feature, in each direction."""
# They bring the three parts to about one scale: s16 has a standard deviation near 7, a heatmap is
# zero nearly everywhere.
FEATURE_SCALE, HEATMAP_SCALE, PLACE_SCALE = 1 / 7, 8.0, 2.0


@MODELS.register_module()
class MoveNetPoseBackbone(MoveNetBackbone):
    """MoveNet's backbone and heads for one person, as one feature at stride 16.

    Channels of the feature, one behind the other:

    - ``s16`` of :class:`MoveNetBackbone`: 200 at width 1.75;
    - the K heatmaps at stride 4, the 4x4 values at each place as 16 channels: 16 K. Nothing of them
      is lost;
    - for each joint a Gaussian around the place where MoveNet expects it (the person nearest the
      middle of the crop, regressed from its centre), its standard deviation one place of the
      feature: K. It tells the person from others in the crop.

    Args:
        num_keypoints (int): K. Defaults to 17, the joints of COCO, as the published weights have.
        head_width (int): Channels within each head. Defaults to 96.
        width, frozen, init_cfg: See :class:`MoveNetBackbone`.
    """

    def __init__(
        self,
        num_keypoints: int = 17,
        head_width: int = 96,
        width: float = 1.75,
        frozen: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(width=width, outputs=('p4', 's16'), init_cfg=init_cfg)
        self.num_keypoints = num_keypoints
        answers = dict(center=1, heatmap=num_keypoints, regression=2 * num_keypoints)
        self.branches = nn.ModuleDict(
            {name: Branch(PYRAMID[-1], count, head_width) for name, count in answers.items()}
        )
        self.out_channels = self.channels['s16'] + (STRIDE**2 + 1) * num_keypoints
        if frozen:
            self.requires_grad_(False)

    def own_key(self, key: str) -> str | None:
        """See :meth:`MoveNetBackbone.own_key`; of the heads, the three that are used."""
        name = key.removeprefix('head.')
        if key.startswith('head.branches.') and name.split('.')[1] in self.branches:
            return name
        return super().own_key(key)

    def forward(self, x: Tensor) -> tuple[Tensor]:  # type: ignore[override]
        """The feature of images.

        Args:
            x (Tensor): (N, 3, h, w), normalised RGB; h and w are multiples of 32.

        Returns:
            tuple[Tensor]: One, (N, 200 + 17 K, h / 16, w / 16) at width 1.75.

        Raises:
            ValueError: Another size.
        """
        p4, s16 = super().forward(x)
        maps = answers_of(self.branches, p4)
        parts = (
            s16 * FEATURE_SCALE,
            F.pixel_unshuffle(maps['heatmap'], STRIDE) * HEATMAP_SCALE,
            place_maps(expected_joints(maps) / STRIDE, s16.shape[2:]) * PLACE_SCALE,
        )
        return (torch.cat([part.to(s16.dtype) for part in parts], dim=1),)


def place_maps(joints: Tensor, size: Sequence[int]) -> Tensor:
    """Gaussians of standard deviation one around places.

    Args:
        joints: (N, 2, K), x and y in pixels of the maps, the first pixel from 0 to 1.
        size: (H, W) of the maps.

    Returns:
        Tensor: (N, K, H, W), 1 at a place that is the middle of a pixel.
    """
    axes: list[Any] = [
        torch.exp(
            -((torch.arange(length, device=joints.device) + 0.5 - joints[:, axis, :, None]) ** 2)
            / 2
        )
        for axis, length in ((0, size[1]), (1, size[0]))
    ]
    return axes[1][..., None] * axes[0][:, :, None]
