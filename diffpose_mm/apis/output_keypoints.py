"""The keypoints that a run gives, which may be another set than the model's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample

from ..keypoint_sets import keypoint_set, places_in

# Field of the instances -> the axis of its keypoints.
AXES = dict(
    keypoints=1,
    keypoint_scores=1,
    keypoints_visible=1,
    keypoint_std=1,
    hypotheses=2,
    hypothesis_scores=2,
)


class OutputKeypoints:
    """Gives poses in the set that was asked for.

    A keypoint that the model does not have is absent: it lies at (0, 0) with score 0, and its name
    is in :attr:`absent`. Nothing is made up of other keypoints.

    Args:
        dataset_meta: Of the model.
        name: Of the set; None for the model's own.

    Attributes:
        dataset_meta: Of the poses that are given.
        names: Their K keypoints.
        present: Places, among the K, of keypoints that the model has.
        absent: Names of those that it has not.

    Raises:
        ValueError: There is no such set, or the model has nothing of it.
    """

    def __init__(self, dataset_meta: Mapping[str, Any], name: str | None = None) -> None:
        by_id = dataset_meta['keypoint_id2name']
        own = [by_id[i] for i in range(int(dataset_meta['num_keypoints']))]
        self._places: np.ndarray | None = None
        self.dataset_meta, self.names = dict(dataset_meta), own
        if name is not None:
            target = keypoint_set(name)
            self.names = list(target.keypoints)
            places = places_in(own, self.names)
            if (places < 0).all():
                raise ValueError(
                    f'keypoints={name!r}: the model has none of them, its own are {", ".join(own)}'
                )
            if own != self.names:
                self._places = places
                self.dataset_meta = parse_pose_metainfo(target.metainfo())
        places = np.arange(len(own)) if self._places is None else self._places
        self.present = np.flatnonzero(places >= 0)
        self.absent = [self.names[i] for i in np.flatnonzero(places < 0)]

    def __len__(self) -> int:
        return len(self.names)

    def convert(self, sample: PoseDataSample) -> PoseDataSample:
        """Put the keypoints of a sample of the model in their places; in place."""
        if self._places is None:
            return sample
        instances = sample.pred_instances
        fields = {name: np.asarray(instances.get(name)) for name in AXES if name in instances}
        for name, values in fields.items():
            instances.set_field(self._placed(values, AXES[name]), name)
        if 'pred_fields' in sample and 'heatmaps' in sample.pred_fields:
            # Heatmaps are drawn one over the other: those of the keypoints that are given.
            used = self._places[self._places >= 0].tolist()
            sample.pred_fields.set_data(dict(heatmaps=sample.pred_fields.heatmaps[used]))
        return sample

    def _placed(self, values: np.ndarray, axis: int) -> np.ndarray:
        assert self._places is not None
        placed = np.take(values, self._places.clip(0), axis)
        absent = (slice(None),) * axis + (self._places < 0,)
        placed[absent] = 0
        return placed
