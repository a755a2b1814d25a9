"""Poses whose features are kept, to be sampled again with other settings, without the backbone."""

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmpose.structures import PoseDataSample
from torch import Tensor

from .poser import ClipPoser, Job

MAX_FEATURE_BYTES = 2 << 30
"""Of features that are kept of a run, on disk."""


@dataclass
class KeptFeature:
    """Where the feature of a person of a frame is.

    Attributes:
        offset: Of its first byte in the store.
        shape: (V, C, H, W), V = 2 views with flip test, else 1.
        sample: As the head takes it, without predictions.
    """

    offset: int
    shape: tuple[int, ...]
    sample: PoseDataSample


class FeatureStore:
    """Features of the neck on disk, each under a frame and a track; at most so many bytes.

    Args:
        max_bytes: What comes when it, or the disk, is full is not kept. Defaults to
            ``MAX_FEATURE_BYTES``.

    Attributes:
        refused: How many features were not kept.
    """

    def __init__(self, max_bytes: int = MAX_FEATURE_BYTES) -> None:
        self.max_bytes = max_bytes
        self.bytes = self.refused = 0
        self._file = tempfile.TemporaryFile(prefix='features-')
        self._kept: dict[int, dict[int | None, KeptFeature]] = {}

    def add(
        self, frame_id: int, track_id: int | None, feature: Tensor, sample: PoseDataSample
    ) -> None:
        """Keep a feature (V, C, H, W) and what the head needs to know beside it."""
        data = feature.detach().float().cpu().contiguous().numpy()
        if self.bytes + data.nbytes > self.max_bytes:
            self.refused += 1
            return
        try:
            self._file.seek(self.bytes)
            self._file.write(data.data)
            self._file.flush()
        except OSError:
            # A full disk is a smaller bound, and no reason to lose the poses.
            self.max_bytes = self.bytes
            self.refused += 1
            return
        kept = KeptFeature(self.bytes, data.shape, copy.deepcopy(sample))
        self._kept.setdefault(frame_id, {})[track_id] = kept
        self.bytes += data.nbytes

    def of_frame(self, frame_id: int) -> dict[int | None, KeptFeature]:
        """What is kept of a frame, by track."""
        return self._kept.get(frame_id, {})

    def read(self, kept: KeptFeature) -> Tensor:
        """A feature, (V, C, H, W) float32."""
        self._file.seek(kept.offset)
        data = self._file.read(4 * int(np.prod(kept.shape)))
        return torch.from_numpy(np.frombuffer(data, np.float32).copy().reshape(kept.shape))

    def close(self) -> None:
        """Remove the features."""
        self._kept.clear()
        self._file.close()


class KeepingPoser(ClipPoser):
    """Poses people as :class:`ClipPoser` does, and keeps the neck's features of each.

    :meth:`sample_again` runs the head alone on them. With the settings of the run it gives the
    poses of the run.

    Args:
        model, pipeline, test_cfg: As in :class:`ClipPoser`.
        store: Takes the features.
    """

    def __init__(
        self,
        model: Any,
        pipeline: Compose,
        test_cfg: Mapping[str, Any],
        store: FeatureStore,
    ) -> None:
        super().__init__(model, pipeline, test_cfg)
        self.store = store
        self._jobs: Sequence[Job] = ()

    def __call__(self, jobs: Sequence[Job]) -> list[PoseDataSample]:
        """See :class:`Poser`."""
        self._jobs = jobs
        return super().__call__(jobs)

    def _predict(self, feats: Any, samples: list[PoseDataSample]) -> list[PoseDataSample]:
        views = feats if isinstance(feats, list) else [feats]
        stacked = torch.stack([view[-1] for view in views], dim=1)
        for (window, person), feature, sample in zip(self._jobs, stacked, samples, strict=True):
            self.store.add(window.frame_id, person.track_id, feature, sample)
        return super()._predict(feats, samples)

    @torch.no_grad()
    def sample_again(
        self, frame_ids: Sequence[int], sampling_steps: int, num_hypotheses: int
    ) -> dict[int, list[tuple[int | None, PoseDataSample]]]:
        """Poses of the people of some frames, by other steps and hypotheses.

        Args:
            frame_ids: Numbers of the frames; those of which nothing is kept have nobody.
            sampling_steps: S.
            num_hypotheses: N.

        Returns:
            dict: Frame number to (track, sample in image pixels) of each person.

        Raises:
            ValueError: The head takes no such settings.
        """
        cfg = copy.deepcopy(dict(self.test_cfg))
        cfg.update(sampling_steps=sampling_steps, num_hypotheses=num_hypotheses)
        self.model.head.check_test_cfg(cfg)
        keys = [(f, track, kept) for f in frame_ids for track, kept in self._of(f)]
        found: dict[int, list] = {frame_id: [] for frame_id in frame_ids}
        # Features of one shape go through the head together.
        for shape in {kept.shape for _, _, kept in keys}:
            batch = [key for key in keys if key[2].shape == shape]
            device = next(self.model.head.parameters()).device
            features = torch.stack([self.store.read(kept) for _, _, kept in batch]).to(device)
            views = [(view,) for view in features.unbind(1)]
            feats: Any = views if len(views) > 1 else views[0]
            samples = [copy.deepcopy(kept.sample) for _, _, kept in batch]
            predicted = self.model.head.predict(feats, samples, test_cfg=cfg)
            instances = predicted[0] if isinstance(predicted, tuple) else predicted
            posed = self.model.add_pred_to_datasample(instances, None, samples)
            for (frame_id, track, _), sample in zip(batch, posed, strict=True):
                found[frame_id].append((track, sample))
        return found

    def _of(self, frame_id: int) -> list[tuple[int | None, KeptFeature]]:
        return list(self.store.of_frame(frame_id).items())
