"""MoveNet's heads for one person: heatmaps, and the joints of the person nearest the centre."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from torch import Tensor, nn

from .movenet_layers import Branch

BRANCHES = ('center', 'heatmap', 'regression', 'offset')
# Constants of the published graph, in heatmap pixels: what is added to the distance of a peak from
# where the regression expects the joint, and of a place from the middle of the picture.
JOINT_DISTANCE, CENTER_DISTANCE = 1.7998046875, 1.8
Maps = dict[str, Tensor]


@MODELS.register_module()
class MoveNetHead(HeatmapHead):
    """The four heads of MoveNet Thunder on the pyramid's feature at stride 4, and their decoding.

    A heatmap knows all people of a crop. MoveNet first chooses the person whose centre is nearest
    the middle, regresses that person's joints from there, weights each heatmap down with the
    distance from the regressed joint, and adds a sub-pixel offset to the highest place. With
    ``flip_test`` all four answers are averaged over the mirrored crop before that: averaged
    coordinates would mix two people where the mirrored crop answers for another one.

    ``loss`` trains the heatmaps alone; the other three heads have no gradient and stay as they are.

    Args:
        in_channels (int): Of the feature. Defaults to 24.
        out_channels (int): Joints, K. Defaults to 17 (COCO's).
        width (int): Channels within each head. Defaults to 96.
        center_prior (bool): Whether a person nearer the middle is preferred, as MoveNet does.
            Defaults to True.
        loss, decoder, init_cfg: See mmpose's :class:`HeatmapHead`. ``decoder`` is a codec that
            makes the heatmaps to train with; decoding is done here. Its ``input_size`` and
            ``heatmap_size`` have to have the same ratio in width and height.
    """

    def __init__(
        self,
        in_channels: int = 24,
        out_channels: int = 17,
        width: int = 96,
        center_prior: bool = True,
        loss: dict | None = None,
        decoder: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            deconv_out_channels=None,
            final_layer=None,
            loss=loss or dict(type='KeypointMSELoss', use_target_weight=True),
            decoder=decoder,
            init_cfg=init_cfg or dict(type='Kaiming', layer='Conv2d'),
        )
        self.center_prior = center_prior
        answers = dict(center=1, heatmap=1, regression=2, offset=2)
        self.branches = nn.ModuleDict(
            {
                name: Branch(
                    in_channels, 1 if name == 'center' else out_channels * answers[name], width
                )
                for name in BRANCHES
            }
        )
        for name in set(BRANCHES) - {'heatmap'}:
            self.branches[name].requires_grad_(False)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Heatmaps (N, K, H, W), from 0 to 1, of the last feature (N, C, H, W)."""
        return self.branches['heatmap'](feats[-1]).float().sigmoid()

    def answers(self, feats: Sequence[Tensor]) -> Maps:
        """All that the heads say about the last feature (N, C, H, W).

        Returns:
            dict: ``center`` (N, 1, H, W) and ``heatmap`` (N, K, H, W), from 0 to 1; ``regression``
            (N, 2, K, H, W), x and y of the joints from a place that is a person's centre, and
            ``offset`` (N, 2, K, H, W), what a joint's place lacks: both in heatmap pixels.
        """
        return answers_of(self.branches, feats[-1])

    def predict(
        self, feats: Any, batch_data_samples: Sequence | None, test_cfg: dict | None = None
    ) -> Any:
        """Joints in input pixels; see mmpose's :meth:`HeatmapHead.predict`.

        ``keypoint_scores`` are the heatmap's values where the joints were found. In ``test_cfg``
        ``flip_test`` and ``output_heatmaps`` count.
        """
        test_cfg = test_cfg or {}
        if test_cfg.get('flip_test', False):
            assert batch_data_samples is not None
            order = batch_data_samples[0].metainfo['flip_indices']
            maps, mirrored = (self.answers(feature) for feature in feats)
            mirrored = unflip(mirrored, order)
            maps = {name: (value + mirrored[name]) / 2 for name, value in maps.items()}
        else:
            maps = self.answers(feats)
        points, scores = decode(maps, self.center_prior)
        found = [
            InstanceData(keypoints=p[None], keypoint_scores=s[None])
            for p, s in zip((points * self._stride()).cpu().numpy(), scores.cpu().numpy())
        ]
        if test_cfg.get('output_heatmaps', False):
            return found, [PixelData(heatmaps=heatmap) for heatmap in maps['heatmap'].detach()]
        return found

    def _stride(self) -> float:
        if self.decoder is None:
            return 4.0
        return self.decoder.input_size[0] / self.decoder.heatmap_size[0]


def answers_of(branches: nn.ModuleDict, feature: Tensor) -> Maps:
    """What heads say about a feature (N, C, H, W); see :meth:`MoveNetHead.answers`."""
    maps = {name: branch(feature).float() for name, branch in branches.items()}
    for name, value in maps.items():
        if name in ('center', 'heatmap'):
            maps[name] = value.sigmoid()
        else:
            # The graph has y before x for each joint.
            maps[name] = value.unflatten(1, (-1, 2)).transpose(1, 2).flip(1)
    return maps


def unflip(maps: Maps, order: Sequence[int]) -> Maps:
    """Answers for a mirrored crop, as if for the crop itself.

    Args:
        maps: See :meth:`MoveNetHead.answers`.
        order: For each joint the one on the other side.
    """
    flipped = {name: value.flip(-1) for name, value in maps.items()}
    flipped['heatmap'] = flipped['heatmap'][:, order]
    for name in ('regression', 'offset'):
        value = flipped[name][:, :, order]
        # Both are measured from the left edge of a heatmap pixel, which was its right one.
        flipped[name] = torch.stack((1 - value[:, 0], value[:, 1]), dim=1)
    return flipped


def decode(maps: Maps, center_prior: bool = True) -> tuple[Tensor, Tensor]:
    """The joints of the person nearest the middle, by the published graph's rule.

    Args:
        maps: See :meth:`MoveNetHead.answers`.
        center_prior: Whether a person nearer the middle is preferred.

    Returns:
        tuple[Tensor, Tensor]: Joints (N, K, 2), x and y in heatmap pixels, and the heatmaps' values
        there (N, K).
    """
    heatmap = maps['heatmap']
    height, width = heatmap.shape[2:]
    columns = torch.arange(width, device=heatmap.device, dtype=torch.float32)
    rows = torch.arange(height, device=heatmap.device, dtype=torch.float32)[:, None]
    joints = expected_joints(maps, center_prior)

    x, y = joints[:, 0, :, None, None], joints[:, 1, :, None, None]
    weighted = heatmap / (((columns - x) ** 2 + (rows - y) ** 2).sqrt() + JOINT_DISTANCE)
    place = weighted.flatten(2).argmax(2)  # (N, K)
    points = torch.stack((place % width, place // width), dim=1) + _gather(maps['offset'], place)
    scores = heatmap.flatten(2).gather(2, place[:, :, None])[:, :, 0]
    return points.transpose(1, 2), scores


def expected_joints(maps: Maps, center_prior: bool = True) -> Tensor:
    """Where the person nearest the middle has its joints, regressed from its centre.

    Args:
        maps: ``center`` and ``regression`` of :meth:`MoveNetHead.answers`.
        center_prior: Whether a person nearer the middle is preferred.

    Returns:
        Tensor: (N, 2, K), x and y in heatmap pixels.
    """
    center, regression = maps['center'][:, 0], maps['regression']
    height, width = center.shape[1:]
    if center_prior:
        columns = torch.arange(width, device=center.device, dtype=torch.float32)
        rows = torch.arange(height, device=center.device, dtype=torch.float32)[:, None]
        distance = ((columns - width / 2) ** 2 + (rows - height / 2) ** 2).sqrt()
        center = center / (distance + CENTER_DISTANCE)
    place = center.flatten(1).argmax(1)
    start = torch.stack((place % width, place // width), dim=1)[:, :, None]  # (N, 2, 1)
    return start + _gather(regression, place[:, None].expand(-1, regression.shape[2]))


def _gather(maps: Tensor, places: Tensor) -> Tensor:
    """(N, 2, K, H, W) at places (N, K) of the flattened maps: (N, 2, K)."""
    index = places[:, None, :, None].expand(-1, 2, -1, 1)
    return maps.flatten(3).gather(3, index)[..., 0]
