"""People numbered over time."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from mmpose.apis import _track_by_iou, _track_by_oks

from .people import Person


class Tracker:
    """Numbers people over time with mmpose's greedy IoU or OKS matching.

    Args:
        thr: Least similarity of a match. Defaults to 0.3.
        by_oks: Compare keypoints in place of boxes. Defaults to False.
        max_gap: A track may be missed for so many frames. Defaults to 5.
        sigmas: Of the keypoints, for OKS.
        present: Places of the keypoints that count for it; others are absent in every pose.
    """

    def __init__(
        self,
        thr: float = 0.3,
        by_oks: bool = False,
        max_gap: int = 5,
        sigmas: np.ndarray | None = None,
        present: np.ndarray | None = None,
    ) -> None:
        self.thr = thr
        self.by_oks = by_oks
        self.max_gap = max_gap
        self._present = slice(None) if present is None else present
        self.sigmas = sigmas if sigmas is None else np.asarray(sigmas)[self._present]
        self.next_id = 0
        self._tracks: list[SimpleNamespace] = []

    def __call__(self, people: Sequence[Person], poses: Sequence[Any] | None = None) -> None:
        """Give ``track_id`` to the people of the next frame, in place.

        Args:
            people: Of this frame. Those that come with a number keep it.
            poses: Their data samples, which OKS needs.
        """
        self._tracks = [t for t in self._tracks if t.unseen < self.max_gap]
        for track in self._tracks:
            track.unseen += 1
        matched = []
        for index, person in enumerate(people):
            entry = self._entry(person, None if poses is None else poses[index])
            if person.track_id is None:
                if self.by_oks:
                    number, self._tracks, _ = _track_by_oks(
                        entry, self._tracks, self.thr, self.sigmas
                    )
                else:
                    number, self._tracks, _ = _track_by_iou(entry, self._tracks, self.thr)
                person.track_id = self.next_id if number == -1 else number
            else:
                self._tracks = [t for t in self._tracks if t.track_id != person.track_id]
            self.next_id = max(self.next_id, person.track_id + 1)
            entry.track_id = person.track_id
            matched.append(entry)
        self._tracks += matched

    def _entry(self, person: Person, pose: Any) -> SimpleNamespace:
        instances = SimpleNamespace(bboxes=person.box[None])
        if pose is not None:
            x1, y1, x2, y2 = person.box
            instances.keypoints = pose.pred_instances.keypoints[:, self._present]
            scores = pose.pred_instances.keypoint_scores[:, self._present]
            instances.keypoint_scores = scores
            instances.areas = np.array([(x2 - x1) * (y2 - y1)])
        return SimpleNamespace(pred_instances=instances, unseen=0)
