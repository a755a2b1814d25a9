"""The detector that runs where none is named: the first of a fixed order that can be had."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmpose.apis.inferencers.utils import default_det_models

from ..requirements import check_detector_library
from .downloads import download
from .interface import Detections, Detector, DetectorError
from .mmdet_detector import MMDetDetector
from .shipped import SHIPPED


class ZooRTMDet(MMDetDetector):
    """RTMDet-m for people, mmpose's choice: from the cache of downloads, else from the zoo."""

    def __init__(self, device: str | None = None) -> None:
        default = default_det_models['human']
        super().__init__(default['model'], default['weights'], device, "mmdet's RTMDet-m")

    def build(self) -> Any:
        """See :class:`MMDetDetector`."""
        # Before a download that would be for nothing.
        check_detector_library()
        return super().build()

    def checkpoint(self) -> str | None:
        """The file of its weights; a host that does not answer is not waited for."""
        return download(self.weights) if self.weights and '://' in self.weights else self.weights


def default_order(device: str | None) -> list[Detector]:
    """The candidates, best first."""
    return [ZooRTMDet(device), *(make(device) for make in SHIPPED.values())]


class DefaultDetector:
    """The first :class:`Detector` of an order that can be built; the same one from then on.

    Args:
        candidates: In their order.
    """

    def __init__(self, candidates: Sequence[Detector]) -> None:
        self.candidates = list(candidates)
        self.chosen: Detector | None = None
        self.failures: list[str] = []

    def prepare(self) -> None:
        """See :class:`Detector`.

        Raises:
            DetectorError: None can be had, with the reason for each.
        """
        if self.chosen is not None:
            self.chosen.prepare()
            return
        self.failures = []
        for candidate in self.candidates:
            try:
                candidate.prepare()
            except Exception as error:
                reason = ' '.join((str(error) or type(error).__name__).split())
                self.failures.append(f'{candidate.description()}: {reason}')
            else:
                self.chosen = candidate
                return
        raise DetectorError('none of the default detectors can be had: ' + '; '.join(self.failures))

    @property
    def _ready(self) -> Detector:
        self.prepare()
        assert self.chosen is not None
        return self.chosen

    @property
    def names(self) -> Mapping[int, str] | None:
        """See :class:`Detector`."""
        return self._ready.names

    @property
    def fallback_label(self) -> int | None:
        """See :class:`Detector`."""
        return self._ready.fallback_label

    @property
    def clips(self) -> bool:
        """See :class:`Detector`."""
        return self._ready.clips

    def identity(self) -> dict:
        """See :class:`Detector`: of the one that runs, so that two never mix in one file."""
        return self._ready.identity()

    def description(self) -> str:
        """See :class:`Detector`."""
        if self.chosen is None:
            return 'the default detector'
        failed = f' (not by {"; not by ".join(self.failures)})' if self.failures else ''
        return self.chosen.description() + failed

    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detections]:
        """See :class:`Detector`."""
        return self._ready(frames)
