"""What ``--det-model`` and ``det_model=`` may be, and which detector each is."""

import os
import os.path as osp
from typing import Any

from ..weights import hub
from .default import DefaultDetector, default_order
from .interface import Detector, DetectorError
from .mmdet_detector import MMDetDetector
from .shipped import SHIPPED
from .torchvision_detector import SCHEME as TORCHVISION
from .torchvision_detector import TorchvisionDetector
from .transformers_detector import TransformersDetector

FORMS = (
    'config, name or alias of a detector of mmdet; hf:OWNER/NAME[@REVISION] or a folder, a '
    'detector of transformers; torchvision:NAME'
)


def find_detector(
    model: Any = None, weights: str | os.PathLike | None = None, device: str | None = None
) -> Detector:
    """The detector of a name; nothing is read or downloaded yet.

    Args:
        model: A name in ``SHIPPED``; ``hf:OWNER/NAME[@REVISION]`` or a folder with a config.json
            (transformers); ``torchvision:NAME``; else what mmdet takes: a config (path or object),
            a name or an alias. None is the config in ``weights``, and without these the first
            of :func:`default_order` that can be had.
        weights: Its checkpoint.
        device: Where it runs. Defaults to a GPU if there is one.

    Raises:
        DetectorError: Weights beside a name that has its own.
    """
    weights = None if weights is None else os.fspath(weights)
    if isinstance(model, os.PathLike):
        model = os.fspath(model)
    if model is None and weights is None:
        return DefaultDetector(default_order(device))
    if not isinstance(model, str):
        return MMDetDetector(model, weights, device)
    if model.startswith(TORCHVISION):
        return TorchvisionDetector(model, weights, device)
    is_transformers = osp.isdir(model) or model.startswith(hub.SCHEME)
    if weights is not None and (is_transformers or model in SHIPPED):
        raise DetectorError(
            f'det_weights={weights!r} has no place beside det_model={model!r}, which has weights '
            'of its own: leave it out (--det-checkpoint)'
        )
    if is_transformers:
        return TransformersDetector(model, device)
    if model in SHIPPED:
        return SHIPPED[model](device)
    return MMDetDetector(model, weights, device)
