"""From a window and its people to poses: every frame through the backbone, or each only once.

The model knows no time between calls. What a stream remembers stands in :class:`StreamState`.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmpose.datasets.transforms import GetBBoxCenterScale
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from ..datasets.transforms import LoadClip
from .people import Person
from .windows import Window

Job = tuple[Window, str, Person]


class ClipPoser:
    """Poses of people in windows, as the test pipeline and the model make them.

    Args:
        model: A pose estimator of clips.
        pipeline: Its composed test pipeline.
    """

    def __init__(self, model: nn.Module, pipeline: Compose) -> None:
        self.model = model
        self.pipeline = pipeline

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
        """Pose a batch of people.

        Args:
            jobs: (window, name of the keyframe, person), whose frames are arrays.

        Returns:
            list[PoseDataSample]: One for each, coordinates in image pixels.
        """
        if not jobs:
            return []
        data = [self.pipeline(self._sample(p, name, window.results())) for window, name, p in jobs]
        return self.model.test_step(pseudo_collate(data))

    def skip(self, jobs: Sequence[Job]) -> None:
        """Take note of people whose poses are known from an earlier run."""


@dataclass
class LockedCrop:
    """A crop that stays where it is, and what is known of the frames seen through it.

    Attributes:
        box: (4,) The box whose crop it is, image pixels.
        shape: (h, w, 3) Of the frames.
        sample: Metainfo of the crop (centre, scale, ...).
        tokens: By frame number, (V, D, H, W) tokens of the neck's patch embedding, V = 2 views
            with flip test, else 1. At most as many frames as the window spans.
    """

    box: np.ndarray
    shape: tuple[int, ...]
    sample: PoseDataSample | None = None
    tokens: dict[int, Tensor] = field(default_factory=dict)


@dataclass
class StreamState:
    """All that a stream remembers between frames.

    Attributes:
        crops: By track, the crop that is locked, with its tokens (:class:`LockedCrop`).
        last_seen: By track, the last keyframe with it. Tracks leave as soon as no window can
            reach back to it, which bounds the memory by the number of people in view.
        person_frames: People posed so far.
        renewals: How often a crop was replaced by another one of the same track.
        backbone_passes: Person-frames that went through the backbone (one pass each, two with
            flip test).
    """

    crops: dict[int, LockedCrop] = field(default_factory=dict)
    last_seen: dict[int, int] = field(default_factory=dict)
    person_frames: int = 0
    renewals: int = 0
    backbone_passes: int = 0

    def reset(self) -> None:
        """Forget everything, as before a new video."""
        self.__init__()


class StreamingPoser(ClipPoser):
    """Poses of a stream at the cost of about one backbone pass a person and frame.

    While a person stays inside the crop, and about as large, the crop stays fixed, so that a frame
    looks the same in all windows that share it: its tokens are kept and only the newest frame goes
    through the backbone. With a given crop the results are those of :class:`ClipPoser`.

    Args:
        model, pipeline: As in :class:`ClipPoser`; the neck needs ``embed`` and ``fuse``.
        offsets: Frames of a window relative to its keyframe.
        margin: The crop is renewed when the box comes nearer to its border than this share of its
            size. Defaults to 0.02.
        least_room: But a side of the box may always move out by this share of its size. Defaults
            to 0.05.
        max_zoom: Or when the box has grown or shrunk by more than this factor. Defaults to 1.25.
        state: Defaults to a new one.

    Raises:
        ValueError: The model has no neck of that kind.
    """

    def __init__(
        self,
        model: nn.Module,
        pipeline: Compose,
        offsets: Sequence[int],
        margin: float = 0.02,
        least_room: float = 0.05,
        max_zoom: float = 1.25,
        state: StreamState | None = None,
    ) -> None:
        super().__init__(model, pipeline)
        neck = getattr(model, 'neck', None)
        if not (hasattr(neck, 'embed') and hasattr(neck, 'fuse')):
            raise ValueError(
                f'streaming needs a model whose neck embeds each frame alone (SpatioTemporalNeck), '
                f'but the neck of this one is {type(neck).__name__}'
            )
        self.offsets = tuple(offsets)
        self.margin = margin
        self.least_room = least_room
        self.max_zoom = max_zoom
        self.state = state if state is not None else StreamState()
        steps = pipeline.transforms
        # The rest of the pipeline on one frame of the clip at a time.
        self._single = Compose([s for s in steps if not isinstance(s, LoadClip)])
        self._padding = next((s.padding for s in steps if isinstance(s, GetBBoxCenterScale)), 1.25)
        preprocessor = copy.copy(model.data_preprocessor)
        preprocessor.num_frames = None
        self._preprocess = preprocessor

    @torch.no_grad()
    def __call__(self, jobs: Sequence[Job]) -> list[PoseDataSample]:
        """As in :class:`ClipPoser`; keyframes have to come in order, people with track ids."""
        if not jobs:
            return []
        crops = [self._crop_of(window, person) for window, _, person in jobs]
        self._embed_missing(jobs, crops)

        model = self.model
        tokens = [
            torch.stack([crop.tokens[i] for i in window.frame_ids], dim=1)
            for (window, _, _), crop in zip(jobs, crops)
        ]
        views = [(model.neck.fuse(view),) for view in torch.stack(tokens, dim=1)]
        samples = [
            self._sample_of(crop, person, window, name)
            for (window, name, person), crop in zip(jobs, crops)
        ]
        feats = views if len(views) > 1 else views[0]
        predicted = model.head.predict(feats, samples, test_cfg=model.test_cfg)
        instances, fields = predicted if isinstance(predicted, tuple) else (predicted, None)
        samples = model.add_pred_to_datasample(instances, fields, samples)
        self._forget(jobs[-1][0])
        return samples

    def skip(self, jobs: Sequence[Job]) -> None:
        """As in :class:`ClipPoser`: crops are locked as if the people had been posed."""
        counts = self.state.person_frames, self.state.renewals
        for window, _, person in jobs:
            self._crop_of(window, person)
        self.state.person_frames, self.state.renewals = counts
        if jobs:
            self._forget(jobs[-1][0])

    def _crop_of(self, window: Window, person: Person) -> LockedCrop:
        state = self.state
        if person.track_id is None:
            raise ValueError('streaming needs people with track ids')
        crop = state.crops.get(person.track_id)
        shape = window.frame.shape
        if crop is None or crop.shape != shape or not self._fits(crop.box, person.box):
            state.renewals += crop is not None
            crop = LockedCrop(np.array(person.box, np.float32), shape)
            state.crops[person.track_id] = crop
        state.last_seen[person.track_id] = window.frame_id
        state.person_frames += 1
        return crop

    def _fits(self, locked: np.ndarray, box: np.ndarray) -> bool:
        """Whether a box lies well within the crop of another one, and is about as large."""
        low, high = self._extent(locked)
        # Where the pipeline pads little, people may come nearer to the border, or cross it.
        room = np.maximum(
            np.concatenate([locked[:2] - low, high - locked[2:]])
            - self.margin * np.tile(high - low, 2),
            self.least_room * np.tile(locked[2:] - locked[:2], 2),
        )
        drift = np.concatenate([locked[:2] - box[:2], box[2:] - locked[2:]])
        zoom = np.linalg.norm(box[2:] - box[:2]) / np.linalg.norm(locked[2:] - locked[:2])
        return bool((drift <= room).all() and 1 / self.max_zoom <= zoom <= self.max_zoom)

    def _extent(self, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Corners of a box's crop: padded, and widened to the aspect of the input."""
        width, height = self.model.head.decoder.input_size
        size = (box[2:] - box[:2]) * self._padding
        size = np.maximum(size, size[::-1] * (width / height, height / width))
        centre = (box[:2] + box[2:]) / 2
        return centre - size / 2, centre + size / 2

    def _embed_missing(self, jobs: Sequence[Job], crops: Sequence[LockedCrop]) -> None:
        missing: list[tuple[LockedCrop, int]] = []
        inputs: list[Tensor] = []
        for (window, name, person), crop in zip(jobs, crops):
            for frame_id, frame in zip(window.frame_ids, window.frames):
                if frame_id in crop.tokens:
                    continue
                locked = Person(crop.box, person.score)
                shape = frame.shape[:2]
                packed = self._single(
                    self._sample(locked, name, dict(img=[frame], img_shape=shape, ori_shape=shape))
                )
                crop.tokens[frame_id] = packed['inputs']  # a place, filled below
                crop.sample = crop.sample or packed['data_samples']
                missing.append((crop, frame_id))
                inputs.append(packed['inputs'])
        if not inputs:
            return
        model = self.model
        images = self._preprocess(dict(inputs=inputs, data_samples=[]), False)['inputs'][:, 0]
        views = [images, images.flip(-1)] if model.test_cfg.get('flip_test', False) else [images]
        tokens = torch.stack([self._embed(view) for view in views], dim=1)
        for (crop, frame_id), frame_tokens in zip(missing, tokens):
            crop.tokens[frame_id] = frame_tokens
        self.state.backbone_passes += len(missing)

    def _embed(self, images: Tensor) -> Tensor:
        feature = self.model.backbone(images.contiguous(memory_format=torch.channels_last))
        feature = feature[-1] if isinstance(feature, (tuple, list)) else feature
        return self.model.neck.embed(feature)

    @staticmethod
    def _sample_of(crop: LockedCrop, person: Person, window: Window, name: str) -> PoseDataSample:
        sample = copy.deepcopy(crop.sample)
        clip = window.results()
        clip.pop('img')
        sample.set_metainfo(dict(clip, img_path=name))
        # The person's own box, not the one whose crop is used.
        sample.gt_instances.bboxes = np.asarray(person.box, dtype=np.float32)[None]
        sample.gt_instances.bbox_scores = np.array([person.score], dtype=np.float32)
        return sample

    def _forget(self, window: Window) -> None:
        """Drop tokens and tracks that no later window can use."""
        oldest = window.frame_id + 1 + min(self.offsets)
        for track, seen in list(self.state.last_seen.items()):
            if seen < oldest:
                del self.state.last_seen[track], self.state.crops[track]
        for crop in self.state.crops.values():
            for frame_id in [i for i in crop.tokens if i < oldest]:
                del crop.tokens[frame_id]
