"""Detectors of torchvision, with its own weights by name or any file of theirs."""

import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device

from ..engine.checkpoint import read_checkpoint
from ..identity import file_identity
from .downloads import download
from .frames import to_rgb
from .interface import Detections, DetectorError

SCHEME = 'torchvision:'
# Where the number of classes of the R-CNNs stands in their weights.
RCNN_CLASSES = 'roi_heads.box_predictor.cls_score.bias'
# Trained without an epsilon in their frozen normalisations: torchvision takes it out of the models
# that it builds with its own weights, and leaves it in where the same weights are loaded by hand.
NO_EPSILON = (
    'fasterrcnn_resnet50_fpn',
    'keypointrcnn_resnet50_fpn',
    'maskrcnn_resnet50_fpn',
    'retinanet_resnet50_fpn',
)


class TorchvisionDetector:
    """A :class:`Detector` of torchvision: Faster, Mask and Keypoint R-CNN, RetinaNet, FCOS, SSD.

    Weights are read as tensors only, which torchvision's own door to them does not promise.

    Args:
        source: ``torchvision:NAME[@WEIGHTS]``, as ``torchvision:fasterrcnn_resnet50_fpn_v2`` or
            ``torchvision:keypointrcnn_resnet50_fpn@COCO_LEGACY``. Weights that are not named are
            those that torchvision calls DEFAULT; they are downloaded once.
        weights: A file of weights in place of these.
        device: Where it runs. Defaults to a GPU if there is one.
    """

    fallback_label = None
    clips = True

    def __init__(self, source: str, weights: str | None = None, device: str | None = None) -> None:
        self.source, self.weights, self.device = source, weights, device
        self.names: Mapping[int, str] | None = None
        self.model: Any = None

    def identity(self) -> dict:
        """See :class:`Detector`: a name of torchvision's weights ends in their hash."""
        name, _ = self._split()
        weights = self.weights
        if weights is None:
            identity: Any = osp.basename(self._enum().url)
        else:
            identity = file_identity(weights) if osp.isfile(weights) else weights
        return dict(library='torchvision', model=name, weights=identity)

    def description(self) -> str:
        """See :class:`Detector`."""
        name, _ = self._split()
        return f"torchvision's {name}"

    def _split(self) -> tuple[str, str]:
        name, _, weights = self.source.removeprefix(SCHEME).partition('@')
        return name, weights

    def _enum(self) -> Any:
        """Torchvision's weights of the name: address and names of labels.

        Raises:
            DetectorError: There is no such detector, or no such weights of it.
        """
        try:
            from torchvision.models import detection, get_model_weights, list_models
        except ImportError as error:
            raise DetectorError(
                f'{self.source} is a detector of torchvision, which is not installed: pip install '
                'torchvision'
            ) from error
        name, weights = self._split()
        known = list_models(module=detection)
        if name not in known:
            raise DetectorError(f'torchvision has no detector {name!r}; it has {", ".join(known)}')
        kinds = get_model_weights(name)
        if weights and weights not in kinds.__members__:
            raise DetectorError(
                f'torchvision has no weights {weights!r} of {name}; it has '
                f'{", ".join(kinds.__members__)}'
            )
        return kinds[weights] if weights else kinds.DEFAULT

    def prepare(self) -> None:
        """See :class:`Detector`."""
        if self.model is not None:
            return
        enum = self._enum()
        from torchvision.models import get_model

        path = self.weights or download(enum.url)
        state = read_checkpoint(path)['state_dict']
        state = {key.removeprefix('module.'): value for key, value in state.items()}
        names: dict[int, str] | None = dict(enumerate(enum.meta['categories']))
        count = len(enum.meta['categories'])
        if RCNN_CLASSES in state and len(state[RCNN_CLASSES]) != count:
            # Trained anew on other classes, whose names are nowhere.
            names, count = None, len(state[RCNN_CLASSES])
        name, _ = self._split()
        model = get_model(name, weights=None, weights_backbone=None, num_classes=count)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines()[1:]]
            raise DetectorError(
                f'{path} is not of a {name} of {count} classes: {" ".join(lines)[:300]}'
            ) from error
        if name in NO_EPSILON and enum.name == 'COCO_V1' and is_frozen(state):
            for module in model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    # torch 2.11 refuses 0; this is lost beside any variance of a float32.
                    module.eps = torch.finfo(torch.float32).tiny
        self.names = names
        self.model = model.to(self.device or get_device()).eval()

    @torch.inference_mode()
    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detections]:
        """See :class:`Detector`. Frame by frame: a batch is padded to its largest frame."""
        device = next(self.model.parameters()).device
        found = []
        for frame in frames:
            # It takes floats from 0 to 1, and others without a word.
            picture = torch.from_numpy(to_rgb(frame)).to(device).permute(2, 0, 1).float() / 255
            (result,) = self.model([picture])
            found.append(
                Detections(
                    result['boxes'].cpu().numpy(),
                    result['scores'].cpu().numpy(),
                    result['labels'].cpu().numpy(),
                )
            )
        return found


def is_frozen(state: Mapping[str, Any]) -> bool:
    """Whether weights come from a model with frozen normalisations, as torchvision's own do.

    Those that were trained count their batches.
    """
    return not any(key.endswith('num_batches_tracked') for key in state)
