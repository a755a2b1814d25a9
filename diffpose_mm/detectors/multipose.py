"""The person detector that comes with the package: MoveNet MultiPose on two sizes of a frame."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmengine.device import get_device
from mmpose.evaluation.functional import nms

from ..models.movenet_backbone import STRIDE
from ..models.movenet_multipose import MultiPose
from ..shipped import PUBLISHED, read_shipped
from .interface import Detections

NAME = 'movenet-multipose'
LONG_SIDES = (256, 512)
"""Pixels of the longer side. People who fill the frame are found in the smaller picture and torn
apart in the larger one; people far away are found in the larger one alone."""
MAX_PEOPLE = 50
MIN_STRENGTH = 0.05
SAME_PERSON = 0.5
"""IoU above which a box of one size and one of the other are a single person."""
SCALE = 0.00784302
"""Of the published graph: pixel * SCALE - 1."""


class MultiPoseDetector:
    """A :class:`Detector` of persons that needs no download.

    Args:
        device: Where it runs. Defaults to a GPU if there is one.
        long_sides: Pixels of the frame's longer side, one pass for each.
    """

    names = {0: 'person'}
    fallback_label = None
    clips = True

    def __init__(self, device: str | None = None, long_sides: Sequence[int] = LONG_SIDES) -> None:
        self.device, self.long_sides = device, tuple(long_sides)
        self.network: MultiPose | None = None

    def prepare(self) -> None:
        """See :class:`Detector`.

        Raises:
            ShippedWeightsError: The weights are not those that come with the package.
        """
        if self.network is not None:
            return
        network = MultiPose(PUBLISHED[NAME].width, num_people=MAX_PEOPLE, min_strength=MIN_STRENGTH)
        network.load_state_dict(read_shipped(NAME)[0])
        self.network = network.eval().to(self.device or get_device())

    def identity(self) -> dict:
        """See :class:`Detector`."""
        return dict(
            library='diffpose_mm', weights=PUBLISHED[NAME].sha256, long_sides=list(self.long_sides)
        )

    def description(self) -> str:
        """See :class:`Detector`."""
        return f"{PUBLISHED[NAME].title}, which comes with diffpose_mm ('{NAME}')"

    @torch.inference_mode()
    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detections]:
        """See :class:`Detector`. Frames go through one by one."""
        assert self.network is not None
        device = next(self.network.parameters()).device
        found = []
        for frame in frames:
            rows = []
            for side in self.long_sides:
                picture, scale = fit(frame, side)
                image = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float()
                people = self.network(image * SCALE - 1)[0]
                boxes = people.boxes.cpu().numpy() / scale
                rows.append(np.column_stack((boxes, people.scores.cpu().numpy())))
            merged = np.concatenate(rows)
            merged = merged[nms(merged, SAME_PERSON)] if len(merged) else merged
            found.append(
                Detections(merged[:, :4], merged[:, 4], np.zeros(len(merged), dtype=np.int64))
            )
        return found


def fit(frame: np.ndarray, long_side: int) -> tuple[np.ndarray, np.ndarray]:
    """A frame at the network's size.

    Args:
        frame: HxWx3 BGR, uint8, of any size.
        long_side: Pixels that its longer side gets.

    Returns:
        tuple[np.ndarray, np.ndarray]: RGB, filled up with black at the right and below to multiples
        of 32; and, for x1, y1, x2 and y2, its pixels per pixel of the frame.
    """
    height, width = frame.shape[:2]
    ratio = long_side / max(height, width)
    inner = max(1, round(width * ratio)), max(1, round(height * ratio))
    way = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(frame, inner, interpolation=way)
    outer = [-(-size // STRIDE) * STRIDE for size in inner]
    picture = np.zeros((outer[1], outer[0], 3), dtype=np.uint8)
    picture[: inner[1], : inner[0]] = resized[..., ::-1]
    return picture, np.array([inner[0] / width, inner[1] / height] * 2)
