"""From windows and their people to poses, every frame of a window through the backbone."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmpose.structures import PoseDataSample

from .people import Person
from .windows import Window

Job = tuple[Window, Person]
"""A person of a window's keyframe."""


class Poser(Protocol):
    """Gives the poses of people, window by window in the order of their keyframes."""

    def __call__(self, jobs: Sequence[Job]) -> list[PoseDataSample]:
        """Pose a batch of people.

        Returns:
            list[PoseDataSample]: One for each, coordinates in image pixels.
        """

    def replay(self, jobs: Sequence[Job]) -> None:
        """Update the state for people whose poses are restored, without running the model."""


class ClipPoser:
    """Poses of people in windows, as the test pipeline and the model make them.

    Neither the model nor its settings are changed.

    Args:
        model: A pose estimator of clips.
        pipeline: Its composed test pipeline.
        test_cfg: In place of the model's own. Defaults to that.
    """

    def __init__(
        self, model: Any, pipeline: Compose, test_cfg: Mapping[str, Any] | None = None
    ) -> None:
        self.model = model
        self.pipeline = pipeline
        self.test_cfg = model.test_cfg if test_cfg is None else test_cfg

    def _inputs(self, window: Window) -> dict:
        """A window as the pipeline reads it."""
        return window.results()

    def _sample(self, person: Person, name: str, clip: dict) -> dict:
        return dict(
            **clip,
            img_path=name,
            bbox=np.asarray(person.box, dtype=np.float32)[None],
            bbox_score=np.array([person.score], dtype=np.float32),
            **self.model.dataset_meta,
        )

    @torch.no_grad()
    def __call__(self, jobs: Sequence[Job]) -> list[PoseDataSample]:
        """See :class:`Poser`."""
        if not jobs:
            return []
        data = [
            self.pipeline(self._sample(person, window.frame.name, self._inputs(window)))
            for window, person in jobs
        ]
        model = self.model
        batch = model.data_preprocessor(pseudo_collate(data), False)
        inputs = batch['inputs']
        if model.metainfo is not None:
            for sample in batch['data_samples']:
                sample.set_metainfo(model.metainfo)
        feats: Any = model.extract_feat(inputs)
        if self.test_cfg.get('flip_test', False):
            feats = [feats, model.extract_feat(inputs.flip(-1))]
        return self._predict(feats, batch['data_samples'])

    def _predict(self, feats: Any, samples: list[PoseDataSample]) -> list[PoseDataSample]:
        """The poses of features (a tuple, or two with the flip test), in image pixels."""
        predicted = self.model.head.predict(feats, samples, test_cfg=self.test_cfg)
        instances, fields = predicted if isinstance(predicted, tuple) else (predicted, None)
        return self.model.add_pred_to_datasample(instances, fields, samples)

    def replay(self, jobs: Sequence[Job]) -> None:
        """Nothing is remembered."""


class FramePoser(ClipPoser):
    """Poses of people by a model of single frames, as mmpose's own are: it sees the keyframe."""

    def _inputs(self, window: Window) -> dict:
        image = window.frame.image
        return {} if isinstance(image, str) else dict(img=image)
