"""People numbered over time by the overlap of their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .people import Person


def box_iou(box: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    inner = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2])) - inner
    return inner / max(union, 1e-5)


@dataclass
class _Seen:
    box: np.ndarray
    track_id: int
    unseen: int = 0


class BoxTracker:
    """Gives people the number of the person whose last box overlaps most, one after the other.

    Args:
        thr: Least overlap of a match. Defaults to 0.3.
        max_gap: A track may be missed for so many frames. Defaults to 5.
    """

    def __init__(self, thr: float = 0.3, max_gap: int = 5) -> None:
        self.thr = thr
        self.max_gap = max_gap
        self.next_id = 0
        self._tracks: list[_Seen] = []

    def __call__(self, people: Sequence[Person]) -> None:
        """Give ``track_id`` to the people of the next frame, in place; given numbers stay."""
        self._tracks = [track for track in self._tracks if track.unseen < self.max_gap]
        for track in self._tracks:
            track.unseen += 1
        matched = []
        for person in people:
            if person.track_id is None:
                overlaps = [box_iou(person.box, track.box) for track in self._tracks]
                best = int(np.argmax(overlaps)) if overlaps else -1
                if best >= 0 and overlaps[best] > self.thr:
                    person.track_id = self._tracks.pop(best).track_id
                else:
                    person.track_id = self.next_id
            else:
                self._tracks = [t for t in self._tracks if t.track_id != person.track_id]
            self.next_id = max(self.next_id, person.track_id + 1)
            matched.append(_Seen(person.box, person.track_id))
        self._tracks += matched
