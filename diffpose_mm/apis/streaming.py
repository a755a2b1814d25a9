"""Poses of a stream, each person-frame through the backbone only once.

The model knows no time between calls. What a stream remembers stands in :class:`StreamState`.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmpose.structures import PoseDataSample
from torch import Tensor

from ..datasets.transforms import LoadClip
from ..models.clip_neck import ClipNeck
from .people import Person
from .poser import ClipPoser, Job
from .tokens import resample_tokens
from .windows import Frame, Window


@dataclass
class Crop:
    """Where a person is looked at, in as many frames as the person stays there.

    Attributes:
        box: (4,) The box whose crop it is, image pixels.
        shape: (h, w, 3) Of the frames.
        sample: Metainfo of the crop (centre, scale, ...), known from its first frame on.
    """

    box: np.ndarray
    shape: tuple[int, ...]
    sample: PoseDataSample | None = None


@dataclass
class Track:
    """What is known of one person.

    Attributes:
        crop: The one for the next frame, unless the person has left it.
        frames: By frame number, the crop that the frame was seen through and its (V, D, H, W)
            tokens of the neck's patch embedding, V = 2 views with flip test, else 1; None until a
            window needs them. At most as many frames as the window spans.
        last_seen: The last keyframe with the person.
    """

    crop: Crop | None = None
    frames: dict[int, tuple[Crop, Tensor | None]] = field(default_factory=dict)
    last_seen: int = -1


@dataclass
class StreamState:
    """All that a stream remembers between frames.

    Attributes:
        tracks: By track id. Tracks leave as soon as no window can reach back to them, which
            bounds the memory by the number of people in view.
        person_frames: People posed so far.
        renewals: How often the crop of a track was replaced by another one.
        backbone_passes: Person-frames that went through the backbone (one pass each, two with
            flip test).
    """

    tracks: dict[int, Track] = field(default_factory=dict)
    person_frames: int = 0
    renewals: int = 0
    backbone_passes: int = 0

    def reset(self) -> None:
        """Forget everything, as before a new video."""
        self.tracks.clear()
        self.person_frames = self.renewals = self.backbone_passes = 0


class StreamingPoser(ClipPoser):
    """Poses of a stream at the cost of about one backbone pass a person and frame.

    Each frame goes through the backbone once, in a crop around the person's box in that very frame
    (the window knows it for frames after the keyframe), and its tokens are kept. The crop stays
    where it is as long as the box stays within ``crop_tolerance`` of it. A window is put together
    in the keyframe's crop: tokens of frames that share it are taken as they are, so that the
    result is that of :class:`ClipPoser` with this crop; those of other crops are resampled
    (:func:`resample_tokens`), which is an approximation, and costs no pass. Only a keyframe that
    was seen through a crop that does not fit its box goes through the backbone again.

    Args:
        model, pipeline, test_cfg: As in :class:`ClipPoser`; the neck has to be a :class:`ClipNeck`.
        offsets: Frames of a window relative to its keyframe.
        crop_tolerance: How far each side of the box may be off that of the crop's box, as a share
            of the longer side of the latter. 0 renews the crop at any motion. Defaults to 0.05.
        state: Defaults to a new one.

    Raises:
        ValueError: The model has no neck of that kind; ``crop_tolerance`` is negative.
    """

    def __init__(
        self,
        model: Any,
        pipeline: Compose,
        offsets: Sequence[int],
        crop_tolerance: float = 0.05,
        state: StreamState | None = None,
        test_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(model, pipeline, test_cfg)
        neck = getattr(model, 'neck', None)
        if not isinstance(neck, ClipNeck):
            raise ValueError(
                f'streaming needs a neck that embeds each frame alone (a ClipNeck, as '
                f'SpatioTemporalNeck is), but the neck of this model is {type(neck).__name__}'
            )
        if not crop_tolerance >= 0:
            raise ValueError(
                f'crop_tolerance={crop_tolerance} has to be at least 0, a share of the box'
            )
        self.offsets = tuple(offsets)
        self.crop_tolerance = crop_tolerance
        self.state = state if state is not None else StreamState()
        # The rest of the pipeline on one frame of the clip at a time.
        self._single = Compose([s for s in pipeline.transforms if not isinstance(s, LoadClip)])
        preprocessor = copy.copy(model.data_preprocessor)
        preprocessor.num_frames = None
        self._preprocess = preprocessor

    @torch.no_grad()
    def __call__(self, jobs: Sequence[Job]) -> list[PoseDataSample]:
        """See :class:`Poser`; keyframes have to come in order, people with track ids."""
        if not jobs:
            return []
        self._embed_missing(jobs)
        neck = self.model.neck
        clips, samples = [], []
        for window, person in jobs:
            frames = self._track(person).frames
            crop = frames[window.frame_id][0]
            clips.append(
                torch.stack([self._in_crop(crop, *frames[i]) for i in window.frame_ids], dim=1)
            )
            samples.append(self._sample_of(crop, person, window))
        views = [(neck.fuse(view),) for view in torch.stack(clips, dim=1)]
        samples = self._predict(views if len(views) > 1 else views[0], samples)
        self._forget(jobs[-1][0])
        return samples

    def replay(self, jobs: Sequence[Job]) -> None:
        """See :class:`Poser`: crops become what they would be if all had been posed."""
        renewals = self.state.renewals
        self._assign_crops(jobs)
        self.state.renewals = renewals
        if jobs:
            self._forget(jobs[-1][0])

    def _track(self, person: Person) -> Track:
        if person.track_id is None:
            raise ValueError('streaming needs people with track ids')
        return self.state.tracks.setdefault(person.track_id, Track())

    def _assign_crops(self, jobs: Sequence[Job]) -> None:
        """Assign a crop to every frame of every person's window."""
        for window, person in jobs:
            track = self._track(person)
            track.last_seen = window.frame_id
            for frame in window.frames:
                number = frame.index
                is_key = number == window.frame_id
                if number in track.frames and not (
                    is_key and not self._fits(track.frames[number][0], person.box, frame)
                ):
                    continue
                box = person.box if is_key else window.box_of(person.track_id, number)
                box = person.box if box is None else box
                track.frames[number] = self._crop_for(track, box, frame), None

    def _embed_missing(self, jobs: Sequence[Job]) -> None:
        """Put all frames of the windows into the state, the new ones through the backbone."""
        self._assign_crops(jobs)
        missing: list[tuple[Track, int, Crop]] = []
        inputs: list[Tensor] = []
        for window, person in jobs:
            track = self._track(person)
            for frame in window.frames:
                crop, tokens = track.frames[frame.index]
                if tokens is not None:
                    continue
                assert isinstance(frame.image, np.ndarray)
                shape = frame.image.shape[:2]
                clip = dict(img=[frame.image], img_shape=shape, ori_shape=shape)
                packed = self._single(
                    self._sample(Person(crop.box, person.score), window.frame.name, clip)
                )
                crop.sample = crop.sample or packed['data_samples']
                track.frames[frame.index] = crop, packed['inputs']  # a place, filled below
                missing.append((track, frame.index, crop))
                inputs.append(packed['inputs'])
        self.state.person_frames += len(jobs)
        if not inputs:
            return
        images = self._preprocess(dict(inputs=inputs, data_samples=[]), False)['inputs'][:, 0]
        views = [images, images.flip(-1)] if self.test_cfg.get('flip_test', False) else [images]
        tokens = torch.stack([self._embed(view) for view in views], dim=1)
        for (track, number, crop), frame_tokens in zip(missing, tokens):
            track.frames[number] = crop, frame_tokens
        self.state.backbone_passes += len(missing)

    def _crop_for(self, track: Track, box: np.ndarray, frame: Frame) -> Crop:
        """The crop that the track has, or a new one if the box has left it."""
        if track.crop is None or not self._fits(track.crop, box, frame):
            self.state.renewals += track.crop is not None
            track.crop = Crop(np.array(box, np.float32), frame.shape or ())
        return track.crop

    def _fits(self, crop: Crop, box: np.ndarray, frame: Frame) -> bool:
        off = np.abs(box - crop.box).max()
        longer = (crop.box[2:] - crop.box[:2]).max()
        return crop.shape == frame.shape and bool(off <= self.crop_tolerance * longer)

    def _embed(self, images: Tensor) -> Tensor:
        feature = self.model.backbone(images.contiguous(memory_format=torch.channels_last))
        feature = feature[-1] if isinstance(feature, (tuple, list)) else feature
        return self.model.neck.embed(feature)

    def _in_crop(self, target: Crop, crop: Crop, tokens: Tensor | None) -> Tensor:
        assert tokens is not None
        if crop is target:
            return tokens
        codec = self.model.head.decoder
        size = np.asarray(codec.input_size, dtype=float)
        # What the crop's scale in image pixels spans, in input pixels; less by one with UDP.
        extent = getattr(codec, 'input_extent', size)
        (origin, scale), (target_origin, target_scale) = map(_placement, (crop, target))
        zoom = target_scale / scale
        shift = (target_origin - origin) * extent / scale
        return resample_tokens(tokens, zoom, shift, size)

    @staticmethod
    def _sample_of(crop: Crop, person: Person, window: Window) -> PoseDataSample:
        assert crop.sample is not None
        sample = copy.deepcopy(crop.sample)
        clip = window.results()
        clip.pop('img')
        sample.set_metainfo(dict(clip, img_path=window.frame.name))
        # The person's own box, not the one whose crop is used.
        sample.gt_instances.bboxes = np.asarray(person.box, dtype=np.float32)[None]
        sample.gt_instances.bbox_scores = np.array([person.score], dtype=np.float32)
        return sample

    def _forget(self, window: Window) -> None:
        """Drop tokens and tracks that no window from this keyframe on can use."""
        oldest = window.frame_id + min(self.offsets)
        tracks = self.state.tracks
        for track_id in [i for i, track in tracks.items() if track.last_seen < oldest]:
            del tracks[track_id]
        for track in tracks.values():
            for frame_id in [i for i in track.frames if i < oldest]:
                del track.frames[frame_id]


def _placement(crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """Upper left corner and scale of a crop, each (x, y) in image pixels."""
    assert crop.sample is not None
    scale = np.asarray(crop.sample.metainfo['input_scale'], dtype=float)
    return np.asarray(crop.sample.metainfo['input_center'], dtype=float) - scale / 2, scale
