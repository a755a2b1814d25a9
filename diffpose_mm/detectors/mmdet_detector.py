"""Detectors of mmdet, through its own inferencer."""

import os.path as osp
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.config import Config

from ..engine.checkpoint import read_checkpoint
from ..identity import config_identity, file_identity
from ..requirements import check_detector_library
from .interface import Detections


class MMDetDetector:
    """A :class:`Detector` of mmdet; it sees all frames of a call in one batch.

    Args:
        model: A config (path or object), or an alias or name of mmdet; None takes the config in
            ``weights``.
        weights: Its checkpoint; None is the one that mmdet's model index names.
        device: Where it runs.
        title: What to call it. Defaults to what ``model`` is.
    """

    fallback_label = 0
    clips = False

    def __init__(
        self,
        model: Any = None,
        weights: str | None = None,
        device: str | None = None,
        title: str | None = None,
    ) -> None:
        self.model, self.weights, self.device = model, weights, device
        self.title = title
        self.names: dict[int, str] | None = None
        self.inferencer: Any = None

    def identity(self) -> dict:
        """See :class:`Detector`."""
        model, weights = self.model, self.weights
        if isinstance(model, str) and osp.isfile(model):
            model = Config.fromfile(model)
        if isinstance(model, Config):
            model = config_identity(model, ('model', 'test_dataloader'))
        return dict(
            library='mmdet',
            config=model,
            weights=file_identity(weights) if weights and osp.isfile(weights) else weights,
        )

    def description(self) -> str:
        """See :class:`Detector`."""
        if self.title is not None:
            return self.title
        model = self.model if isinstance(self.model, str) else self.weights
        return f"mmdet's {osp.splitext(osp.basename(str(model)))[0] if model else 'detector'}"

    def prepare(self) -> None:
        """See :class:`Detector`."""
        if self.inferencer is None:
            self.inferencer = self.build()
            classes = getattr(self.inferencer.model, 'dataset_meta', {}).get('classes')
            if classes:
                classes = [classes] if isinstance(classes, str) else classes
                self.names = dict(enumerate(map(str, classes)))

    def checkpoint(self) -> str | None:
        """Where its weights are read from."""
        return self.weights

    def build(self) -> Any:
        """Mmdet's inferencer, with the weights in it."""
        # Asked for here, so that boxes given by hand need no mmdet.
        check_detector_library()
        from mmdet.apis import DetInferencer

        weights = self.checkpoint()
        if weights is not None:
            read_checkpoint(weights)
        model, scope = self.model, 'mmdet'
        if isinstance(model, str) and model.endswith('.py'):
            model = Config.fromfile(model)
        if isinstance(model, Config):
            scope = model.get('default_scope', scope)
        return DetInferencer(
            model=model,
            weights=weights,
            device=self.device,
            scope=scope,
            show_progress=False,
        )

    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detections]:
        """See :class:`Detector`."""
        outputs = self.inferencer(list(frames), batch_size=len(frames), return_datasamples=True)
        found = []
        for output in outputs['predictions']:
            instances = output.pred_instances.cpu().numpy()
            found.append(Detections(instances.bboxes, instances.scores, instances.labels))
        return found
