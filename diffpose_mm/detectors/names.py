"""What ``--det-model`` and ``det_model=`` may be, and which detector each is."""

import os
from typing import Any

from .default import DefaultDetector, default_order
from .interface import Detector
from .mmdet_detector import MMDetDetector
from .shipped import SHIPPED

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
    """
    weights = None if weights is None else os.fspath(weights)
    if isinstance(model, os.PathLike):
        model = os.fspath(model)
    if model is None and weights is None:
        return DefaultDetector(default_order(device))
    if isinstance(model, str) and model in SHIPPED and weights is None:
        return SHIPPED[model](device)
    return MMDetDetector(model, weights, device)
