"""MoveNet MultiPose: all people of a picture in one pass, with a box and 17 joints each."""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from .movenet_backbone import MoveNetBackbone
from .movenet_layers import Branch

STRIDE = 4
JOINTS = 17
# Constants of the published graph.
SURE_JOINT = 0.126953125
PEAK_TOLERANCE = 1.0132789611816406e-06
PEAK_SIZE = 5
JOINT_SPREAD = 0.300048828125
PUBLISHED_PEOPLE = 6
BRANCHES = dict(
    center=1, box_scale=2, box_offset=2, heatmap=JOINTS, regression=2 * JOINTS, offset=2 * JOINTS
)


class MultiPosePeople(NamedTuple):
    """The people of one picture, M of them, those with the strongest centres first.

    Attributes:
        boxes: (M, 4) x1, y1, x2, y2 in input pixels.
        scores: (M,) strength of the centre times the mean of the joints that are sure, from 0 to 1.
        keypoints: (M, 17, 2) x and y in input pixels, COCO's order.
        keypoint_scores: (M, 17) from 0 to 1.
    """

    boxes: Tensor
    scores: Tensor
    keypoints: Tensor
    keypoint_scores: Tensor


class MultiPose(BaseModule):
    """MoveNet's backbone at width 1.5 and six heads: ``movenet/multipose/lightning/1``.

    The published graph answers with six people because its decoding keeps six centres; the network
    has no such limit, so the number is a choice here.

    Args:
        width (float): See :class:`MoveNetBackbone`.
        num_people (int): M, centres that are kept. Six is what the published graph keeps.
        min_strength (float): Of a centre, from 0 to 1; weaker ones are left out, which saves time:
            no score is higher than its centre's strength. Defaults to all.
        branch_width (int): Channels within each head.
    """

    def __init__(
        self,
        width: float = 1.5,
        num_people: int = PUBLISHED_PEOPLE,
        min_strength: float = -1.0,
        branch_width: int = 96,
    ) -> None:
        super().__init__()
        self.num_people, self.min_strength = num_people, min_strength
        self.backbone = MoveNetBackbone(width, outputs=('p4',))
        channels = self.backbone.channels['p4']
        branches = {name: Branch(channels, out, branch_width) for name, out in BRANCHES.items()}
        # Under the name that they have in a model with a head.
        self.head = nn.ModuleDict(dict(branches=nn.ModuleDict(branches)))

    def forward(self, images: Tensor) -> list[MultiPosePeople]:
        """The people of each picture.

        Args:
            images: (N, 3, h, w), normalised RGB (see :class:`MoveNetBackbone`); h and w are
                multiples of 32.
        """
        feature = self.backbone(images)[-1]
        branches = cast(nn.ModuleDict, self.head['branches'])
        maps = {name: branch(feature).float() for name, branch in branches.items()}
        return [self._people({name: m[i] for name, m in maps.items()}) for i in range(len(images))]

    def _people(self, maps: dict[str, Tensor]) -> MultiPosePeople:
        center = maps['center'][0].sigmoid()
        height, width = center.shape
        peaks = center * ((center - _highest_near(center)).abs() < PEAK_TOLERANCE)
        strength, place = peaks.flatten().topk(min(self.num_people, center.numel()))
        strong = strength > self.min_strength
        strength, place = strength[strong], place[strong]
        yx = torch.stack((place // width, place % width))  # (2, M)

        def at_centers(name: str) -> Tensor:
            return maps[name].flatten(1)[:, place]

        middle = yx + at_centers('box_offset')
        half = at_centers('box_scale').clamp(min=0) / 2
        limit = middle.new_tensor([height, width])[:, None]
        low = torch.minimum((middle - half).clamp(min=0), limit)
        high = torch.minimum((middle + half).clamp(min=0), limit)

        regressed = at_centers('regression').unflatten(0, (JOINTS, 2)) + yx
        points, sure = _joints(maps['heatmap'].sigmoid(), maps['offset'], regressed, low, high)
        counted = sure > SURE_JOINT
        mean = (sure * counted).sum(1) / counted.sum(1).clamp(min=1)
        return MultiPosePeople(
            torch.cat((low.flip(0), high.flip(0))).T * STRIDE,
            strength * mean,
            points * STRIDE,
            sure,
        )


def _joints(
    heatmap: Tensor, offset: Tensor, regressed: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """Joints of people: the highest place of a heatmap that is weighted for each person.

    The weight falls off with the distance from the regressed joint and is 0 beyond the box.

    Args:
        heatmap: (K, H, W) from 0 to 1.
        offset: (2K, H, W), y and x of each joint in turn.
        regressed: (K, 2, M), y and x.
        low, high: (2, M), y and x of the corners of the boxes.

    Returns:
        tuple[Tensor, Tensor]: (M, K, 2) x and y in heatmap pixels; (M, K) the weighted values.
    """
    joints, height, width = heatmap.shape
    rows = torch.arange(height, dtype=torch.float32, device=heatmap.device)[:, None]
    columns = torch.arange(width, dtype=torch.float32, device=heatmap.device)
    spread = JOINT_SPREAD * min(height, width)
    people = range(regressed.shape[2])
    if not people:
        return heatmap.new_zeros((0, joints, 2)), heatmap.new_zeros((0, joints))
    # Person by person: the weights of all would be as large as the heatmaps times their number.
    places = []
    for person in people:
        weight = _weight(rows, columns, regressed[..., person], low, high, person, spread)
        places.append((heatmap * weight).flatten(1).argmax(1))
    place = torch.stack(places)  # (M, K)
    y, x = place // width, place % width
    weights = [
        _weight(y[..., None, None], x[..., None, None], regressed[..., q], low, high, q, spread)
        for q in people
    ]
    # The graph takes a joint's score for whichever person it suits best.
    best = torch.stack(weights)[..., 0, 0].amax(0)
    sure = best * heatmap.flatten(1).T.gather(0, place)
    index = place.T[:, None]  # (K, 1, M)
    picked = offset.unflatten(0, (joints, 2)).flatten(2).gather(2, index.expand(-1, 2, -1))
    points = torch.stack((x + picked[:, 1].T, y + picked[:, 0].T), dim=2)
    return points, sure


def _weight(
    rows: Tensor,
    columns: Tensor,
    regressed: Tensor,
    low: Tensor,
    high: Tensor,
    person: int,
    spread: float,
) -> Tensor:
    """How much places count for one person's joints, (..., K, H, W).

    Args:
        rows, columns: Of the places, with H and W as their last axes.
        regressed: (K, 2) y and x.
        low, high, person: See :func:`_joints`; which of M.
        spread: Of the fall with the distance, in squared heatmap pixels.
    """
    y, x = regressed[:, 0, None, None], regressed[:, 1, None, None]
    weight = torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / spread)
    within = (rows >= low[0, person]) & (rows < high[0, person])
    within = within & (columns >= low[1, person]) & (columns < high[1, person])
    return weight * within


def _highest_near(center: Tensor) -> Tensor:
    return F.max_pool2d(center[None, None], PEAK_SIZE, 1, PEAK_SIZE // 2)[0, 0]
