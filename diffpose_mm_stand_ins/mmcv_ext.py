"""For ``mmcv._ext``, the compiled operators, where mmcv was installed without them.

``mmcv.ops`` takes them by name when it is imported, and mmpose and mmdet import all of it. Of all
operators a person detector like RTMDet needs nms alone, which torchvision has.
"""

from collections.abc import Callable
from typing import Any

import torch
import torchvision


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, offset: int):
    """Non-maximum suppression as mmcv's.

    Args:
        boxes: (N, 4) left, top, right, bottom in image pixels.
        scores: (N,).
        iou_threshold: A box goes if it overlaps a better one by more than this.
        offset: 1 if the right and bottom pixel belong to the box, else 0.

    Returns:
        Indices of the boxes that stay, best first, (M,) int64.
    """
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    return torchvision.ops.nms(boxes, scores, iou_threshold)


def get_compiler_version() -> str:
    """What compiled the operators: nothing."""
    return 'n/a'


def get_compiling_cuda_version() -> str:
    """Which CUDA the operators were compiled with: none."""
    return 'not available'


def __getattr__(name: str) -> Callable:
    if name.startswith('__'):
        raise AttributeError(name)

    def missing(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"mmcv's operator {name} is not there: this mmcv was installed without compiled "
            'operators, and of these only nms has a stand-in. Compile mmcv (MMCV_OPS=1 make setup; '
            'docs/installation.md) or take a model that does not need it, such as RTMDet for people'
        )

    return missing
