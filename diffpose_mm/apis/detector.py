"""People found by a detector of mmdet."""

import os.path as osp
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from mmpose.apis.inferencers.utils import default_det_models
from mmpose.evaluation.functional import nms

from ..engine.checkpoint import read_checkpoint
from ..identity import config_identity, file_identity
from ..requirements import check_detector_library
from .people import Person


class PersonDetector:
    """mmdet's inferencer, built when it is first needed; it sees frames in batches.

    Args:
        model: A config (path or object), or an alias or name of mmdet. None takes the config in
            ``weights``, and without these mmpose's choice for people, RTMDet-m, whose weights are
            downloaded.
        weights: Its checkpoint.
        cat_ids: The labels that mean people. None is label 0, as in COCO.
        device: Where it runs.
    """

    def __init__(
        self,
        model: Any = None,
        weights: str | None = None,
        cat_ids: int | Sequence[int] | None = None,
        device: str | None = None,
    ) -> None:
        if model is None and weights is None:
            default = default_det_models['human']
            model, weights = default['model'], default['weights']
        self.model, self.weights, self.device = model, weights, device
        cat_ids = 0 if cat_ids is None else cat_ids
        self.cat_ids = tuple(cat_ids) if isinstance(cat_ids, (list, tuple)) else (cat_ids,)
        self._inferencer: Any = None

    def identity(self) -> dict:
        """What the boxes depend on: the content of config and weights, and the labels."""
        model, weights = self.model, self.weights
        if isinstance(model, str) and osp.isfile(model):
            model = Config.fromfile(model)
        if isinstance(model, Config):
            model = config_identity(model, ('model', 'test_dataloader'))
        return dict(
            config=model,
            weights=file_identity(weights) if weights and osp.isfile(weights) else weights,
            labels=list(self.cat_ids),
        )

    def prepare(self) -> None:
        """Build the detector, unless that is done.

        Raises:
            ValueError: It cannot be built; says what else to do.
        """
        if self._inferencer is None:
            self._inferencer = self._build()

    def _build(self) -> Any:
        """Raises ValueError with what else to do."""
        scope = 'mmdet'
        try:
            # Asked for here, so that boxes given by hand need no mmdet.
            check_detector_library()
            from mmdet.apis import DetInferencer

            if self.weights is not None:
                read_checkpoint(self.weights)
            model = self.model
            if isinstance(model, str) and model.endswith('.py'):
                model = Config.fromfile(model)
            if isinstance(model, Config):
                scope = model.get('default_scope', scope)
            return DetInferencer(
                model=model,
                weights=self.weights,
                device=self.device,
                scope=scope,
                show_progress=False,
            )
        except Exception as error:
            raise ValueError(
                f'the person detector det_model={self.model!r}, det_weights={self.weights!r} '
                f'cannot be built: {str(error) or type(error).__name__}. Give another det_model '
                "and det_weights, or bboxes=, or det_model='whole_image' (on the command line "
                '--det-model, --det-checkpoint, --boxes FILE, --det-model whole_image)'
            ) from error

    def __call__(
        self, frames: Sequence[np.ndarray], bbox_thr: float, nms_thr: float
    ) -> list[list[Person]]:
        """The people of each frame, best first.

        Args:
            frames: HxWx3 BGR.
            bbox_thr: Boxes need a higher score.
            nms_thr: IoU above which the lesser of two boxes is left out.
        """
        self.prepare()
        outputs = self._inferencer(list(frames), batch_size=len(frames), return_datasamples=True)[
            'predictions'
        ]
        people = []
        for output in outputs:
            instances = output.pred_instances.cpu().numpy()
            boxes = np.concatenate((instances.bboxes, instances.scores[:, None]), axis=1)
            boxes = boxes[np.isin(instances.labels, self.cat_ids) & (instances.scores > bbox_thr)]
            # An empty array has no rows to suppress.
            boxes = boxes[nms(boxes, nms_thr)] if len(boxes) else boxes
            sides = boxes[:, 2:4] - boxes[:, :2]
            people.append(
                [Person(b[:4].astype(np.float32), float(b[4])) for b in boxes[sides.min(1) > 0]]
            )
        return people


class DetectedPeople:
    """A :class:`PeopleFinder` that asks a detector.

    Args:
        detector: The detector.
        bbox_thr, nms_thr: As in :meth:`PersonDetector.__call__`.
    """

    slow = True

    def __init__(self, detector: PersonDetector, bbox_thr: float, nms_thr: float) -> None:
        self.detector, self.thresholds = detector, (bbox_thr, nms_thr)

    def prepare(self) -> None:
        """Build the detector."""
        self.detector.prepare()

    def identity(self) -> dict:
        """See :class:`PeopleFinder`."""
        bbox_thr, nms_thr = self.thresholds
        return dict(kind='detector', **self.detector.identity(), bbox_thr=bbox_thr, nms_thr=nms_thr)

    def __call__(self, indices: Sequence[int], images: Sequence[np.ndarray]) -> list[list[Person]]:
        """See :class:`PeopleFinder`."""
        return self.detector(images, *self.thresholds)
