"""People found by a detector."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import INFO
from typing import Any

import numpy as np
from mmengine.logging import print_log

from ..detectors import find_detector, person_labels, select_persons
from .people import Person


class PersonDetector:
    """The persons that a detector finds; it is built when it is first needed.

    Args:
        model, weights, device: See :func:`find_detector`.
        cat_ids: The labels that mean people. Defaults to those whose name is person.

    Attributes:
        network: The :class:`Detector` behind it.
    """

    def __init__(
        self,
        model: Any = None,
        weights: str | None = None,
        cat_ids: int | Sequence[int] | None = None,
        device: str | None = None,
    ) -> None:
        self.model, self.weights = model, weights
        self.cat_ids = None if cat_ids is None else tuple(np.atleast_1d(cat_ids).tolist())
        self.network = find_detector(model, weights, device)
        self._labels: tuple[int, ...] | None = None

    def identity(self) -> dict:
        """What the boxes depend on: the content of config and weights, and the labels.

        Raises:
            ValueError: It has to be fetched for that and cannot be had; says what else to do.
        """
        labels = ['person'] if self.cat_ids is None else list(self.cat_ids)
        with self._advice():
            return dict(self.network.identity(), labels=labels)

    def prepare(self) -> None:
        """Build the detector and say in a line which it is, unless that is done.

        Raises:
            ValueError: It cannot be built; says what else to do.
        """
        if self._labels is not None:
            return
        with self._advice():
            self.network.prepare()
            self._labels = person_labels(
                self.network.names, self.cat_ids, self.network.fallback_label
            )
        print_log(f'people are found by {self.network.description()}', 'current', INFO)

    @contextmanager
    def _advice(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            which = 'the default person detector'
            if self.model is not None or self.weights is not None:
                which = (
                    f'the person detector det_model={self.model!r}, det_weights={self.weights!r}'
                )
            reason = ' '.join(str(error).split()) or type(error).__name__
            raise ValueError(
                f'{which} cannot be built: {reason}. '
                "Give another det_model and det_weights, or bboxes=, or det_model='whole_image' "
                '(on the command line --det-model, --det-checkpoint, --boxes FILE, --det-model '
                'whole_image); --det-model movenet-multipose needs no download, --det-model '
                'hf:OWNER/NAME is one of the Hugging Face hub, torchvision:NAME one of torchvision '
                '(docs/detectors.md)'
            ) from error

    def __call__(
        self,
        frames: Sequence[np.ndarray],
        bbox_thr: float,
        nms_thr: float,
        limit: int | None = None,
    ) -> list[list[Person]]:
        """The people of each frame, best first.

        Args:
            frames: HxWx3 BGR.
            bbox_thr, nms_thr, limit: See :func:`select_persons`.
        """
        self.prepare()
        assert self._labels is not None
        people = []
        for frame, found in zip(frames, self.network(frames), strict=True):
            size = frame.shape[:2] if self.network.clips else None
            rows = select_persons(found, self._labels, size, bbox_thr, nms_thr, limit)
            people.append([Person(row[:4], float(row[4])) for row in rows])
        return people


class DetectedPeople:
    """A :class:`PeopleFinder` that asks a detector.

    Args:
        detector: The detector.
        bbox_thr, nms_thr, limit: As in :meth:`PersonDetector.__call__`.
    """

    slow = True

    def __init__(
        self,
        detector: PersonDetector,
        bbox_thr: float,
        nms_thr: float,
        limit: int | None = None,
    ) -> None:
        self.detector, self.rules = detector, (bbox_thr, nms_thr, limit)

    def prepare(self) -> None:
        """Build the detector."""
        self.detector.prepare()

    def identity(self) -> dict:
        """See :class:`PeopleFinder`."""
        bbox_thr, nms_thr, limit = self.rules
        identity = dict(bbox_thr=bbox_thr, nms_thr=nms_thr, **self.detector.identity())
        if limit is not None:
            identity['max_people'] = limit
        return dict(kind='detector', **identity)

    def __call__(self, indices: Sequence[int], images: Sequence[np.ndarray]) -> list[list[Person]]:
        """See :class:`PeopleFinder`."""
        return self.detector(images, *self.rules)
