"""What a detector of objects is to this package: frames in, boxes with labels and scores out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class DetectorError(ValueError):
    """A detector cannot be had or cannot be used; the message says why, and what to do."""


@dataclass(frozen=True)
class Detections:
    """What a network found on one frame, as it says it: in any order, of all labels.

    Attributes:
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the frame. They may leave it, be empty, or be
            there twice: :func:`select_persons` sees to that.
        scores: (N,) from 0 to 1.
        labels: (N,) integers.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class Detector(Protocol):
    """A network of any library, or the package's own, that finds objects on frames."""

    @property
    def names(self) -> Mapping[int, str] | None:
        """What its labels mean, known from :meth:`prepare` on; None where nothing says it."""

    @property
    def fallback_label(self) -> int | None:
        """The label taken for people where no name says which it is; None refuses then."""

    @property
    def clips(self) -> bool:
        """Whether boxes are cut at the frame; mmdet's are not, so that they are those of mmpose."""

    def prepare(self) -> None:
        """Build the network, unless that is done.

        Raises:
            Exception: It cannot be built. The message is one line that says why; who calls adds
                what else could be done.
        """

    def identity(self) -> dict:
        """What the boxes depend on, by content: library, weights, config.

        Raises:
            Exception: As :meth:`prepare`, where it has to be fetched to be known.
        """

    def description(self) -> str:
        """Which detector this is, in a few words that stand after "people are found by"."""

    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detections]:
        """The objects of each frame, those of low score too. :meth:`prepare` came before.

        Args:
            frames: HxWx3 BGR, uint8; sizes may differ. The result for a frame does not depend on
                the others.
        """
