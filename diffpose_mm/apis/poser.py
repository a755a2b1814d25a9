"""From a window and its people to poses: every frame through the backbone, or each only once.

The model knows no time between calls. What a stream remembers stands in :class:`StreamState`.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
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
        """Take note of people whose poses are known from an interrupted run."""


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
        self.__init__()


class StreamingPoser(ClipPoser):
    """Poses of a stream at the cost of about one backbone pass a person and frame.

    Each frame goes through the backbone once, in a crop around the person's box in that very frame
    (:attr:`Person.later` tells it for frames after the keyframe), and its tokens are kept. The
    crop stays where it is as long as the box stays within ``hold`` of it. A window is put together
    in the keyframe's crop: tokens of frames that share it are taken as they are, so that the
    result is that of :class:`ClipPoser` with this crop; those of other crops are resampled
    (:func:`resample_tokens`), which is an approximation, and costs no pass. Only a keyframe that
    was seen through a crop that does not fit its box goes through the backbone again.

    Args:
        model, pipeline: As in :class:`ClipPoser`; the neck needs ``embed`` and ``fuse``.
        offsets: Frames of a window relative to its keyframe.
        hold: How far each side of the box may be off that of the crop's box, as a share of the
            longer side of the latter. 0 renews the crop at any motion. Defaults to 0.05.
        state: Defaults to a new one.

    Raises:
        ValueError: The model has no neck of that kind; ``hold`` is negative.
    """

    def __init__(
        self,
        model: nn.Module,
        pipeline: Compose,
        offsets: Sequence[int],
        hold: float = 0.05,
        state: StreamState | None = None,
    ) -> None:
        super().__init__(model, pipeline)
        neck = getattr(model, 'neck', None)
        if not (hasattr(neck, 'embed') and hasattr(neck, 'fuse')):
            raise ValueError(
                f'streaming needs a model whose neck embeds each frame alone (SpatioTemporalNeck), '
                f'but the neck of this one is {type(neck).__name__}'
            )
        if not hold >= 0:
            raise ValueError(f'hold={hold} has to be at least 0, a share of the box')
        self.offsets = tuple(offsets)
        self.hold = hold
        self.state = state if state is not None else StreamState()
        # The rest of the pipeline on one frame of the clip at a time.
        self._single = Compose([s for s in pipeline.transforms if not isinstance(s, LoadClip)])
        preprocessor = copy.copy(model.data_preprocessor)
        preprocessor.num_frames = None
        self._preprocess = preprocessor

    @torch.no_grad()
    def __call__(self, jobs: Sequence[Job]) -> list[PoseDataSample]:
        """As in :class:`ClipPoser`; keyframes have to come in order, people with track ids."""
        if not jobs:
            return []
        self._see(jobs)
        model = self.model
        clips, samples = [], []
        for window, name, person in jobs:
            frames = self.state.tracks[person.track_id].frames
            crop = frames[window.frame_id][0]
            clips.append(
                torch.stack([self._seen_from(crop, *frames[i]) for i in window.frame_ids], dim=1)
            )
            samples.append(self._sample_of(crop, person, window, name))
        views = [(model.neck.fuse(view),) for view in torch.stack(clips, dim=1)]
        feats = views if len(views) > 1 else views[0]
        predicted = model.head.predict(feats, samples, test_cfg=model.test_cfg)
        instances, fields = predicted if isinstance(predicted, tuple) else (predicted, None)
        samples = model.add_pred_to_datasample(instances, fields, samples)
        self._forget(jobs[-1][0])
        return samples

    def skip(self, jobs: Sequence[Job]) -> None:
        """As in :class:`ClipPoser`: crops become what they would be if all had been posed."""
        renewals = self.state.renewals
        self._place(jobs)
        self.state.renewals = renewals
        if jobs:
            self._forget(jobs[-1][0])

    def _place(self, jobs: Sequence[Job]) -> None:
        """Say through which crop each frame of the windows is seen."""
        for window, _, person in jobs:
            if person.track_id is None:
                raise ValueError('streaming needs people with track ids')
            track = self.state.tracks.setdefault(person.track_id, Track())
            track.last_seen = window.frame_id
            for frame_id, frame in zip(window.frame_ids, window.frames):
                is_key = frame_id == window.frame_id
                if frame_id in track.frames and not (
                    is_key and not self._fits(track.frames[frame_id][0], person.box, frame)
                ):
                    continue
                box = person.box if is_key else person.later.get(frame_id, person.box)
                track.frames[frame_id] = self._crop_for(track, box, frame), None

    def _see(self, jobs: Sequence[Job]) -> None:
        """Put all frames of the windows into the state, the new ones through the backbone."""
        self._place(jobs)
        missing: list[tuple[Track, int, Crop]] = []
        inputs: list[Tensor] = []
        for window, name, person in jobs:
            track = self.state.tracks[person.track_id]
            for frame_id, frame in zip(window.frame_ids, window.frames):
                crop, tokens = track.frames[frame_id]
                if tokens is not None:
                    continue
                shape = frame.shape[:2]
                clip = dict(img=[frame], img_shape=shape, ori_shape=shape)
                packed = self._single(self._sample(Person(crop.box, person.score), name, clip))
                crop.sample = crop.sample or packed['data_samples']
                track.frames[frame_id] = crop, packed['inputs']  # a place, filled below
                missing.append((track, frame_id, crop))
                inputs.append(packed['inputs'])
        self.state.person_frames += len(jobs)
        if not inputs:
            return
        model = self.model
        images = self._preprocess(dict(inputs=inputs, data_samples=[]), False)['inputs'][:, 0]
        views = [images, images.flip(-1)] if model.test_cfg.get('flip_test', False) else [images]
        tokens = torch.stack([self._embed(view) for view in views], dim=1)
        for (track, frame_id, crop), frame_tokens in zip(missing, tokens):
            track.frames[frame_id] = crop, frame_tokens
        self.state.backbone_passes += len(missing)

    def _crop_for(self, track: Track, box: np.ndarray, frame: np.ndarray) -> Crop:
        """The crop that the track has, or a new one if the box has left it."""
        if track.crop is None or not self._fits(track.crop, box, frame):
            self.state.renewals += track.crop is not None
            track.crop = Crop(np.array(box, np.float32), frame.shape)
        return track.crop

    def _fits(self, crop: Crop, box: np.ndarray, frame: np.ndarray) -> bool:
        off = np.abs(box - crop.box).max()
        longer = (crop.box[2:] - crop.box[:2]).max()
        return crop.shape == frame.shape and bool(off <= self.hold * longer)

    def _embed(self, images: Tensor) -> Tensor:
        feature = self.model.backbone(images.contiguous(memory_format=torch.channels_last))
        feature = feature[-1] if isinstance(feature, (tuple, list)) else feature
        return self.model.neck.embed(feature)

    def _seen_from(self, wanted: Crop, crop: Crop, tokens: Tensor) -> Tensor:
        if crop is wanted:
            return tokens
        codec = self.model.head.decoder
        size = np.asarray(codec.input_size, dtype=float)
        # What the crop's scale in image pixels spans, in input pixels; less by one with UDP.
        extent = getattr(codec, 'input_extent', size)
        (origin, scale), (wanted_origin, wanted_scale) = map(_placement, (crop, wanted))
        zoom = wanted_scale / scale
        shift = (wanted_origin - origin) * extent / scale
        return resample_tokens(tokens, zoom, shift, size)

    @staticmethod
    def _sample_of(crop: Crop, person: Person, window: Window, name: str) -> PoseDataSample:
        sample = copy.deepcopy(crop.sample)
        clip = window.results()
        clip.pop('img')
        sample.set_metainfo(dict(clip, img_path=name))
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
    scale = np.asarray(crop.sample.metainfo['input_scale'], dtype=float)
    return np.asarray(crop.sample.metainfo['input_center'], dtype=float) - scale / 2, scale


def resample_tokens(
    tokens: Tensor, zoom: Sequence[float], shift: Sequence[float], size: Sequence[float]
) -> Tensor:
    """Tokens of a frame as another crop of it would have them, about.

    Where the crops differ by whole cells, tokens are moved as they are; else they are interpolated
    by cubic convolution. Cells that the old crop has not seen repeat the outermost one that it has.
    What the backbone would have made of the other surroundings is not known.

    Args:
        tokens: (V, D, H, W), the second view being that of the mirrored image.
        zoom, shift: (x, y); pixel p of the wanted crop is pixel ``zoom * p + shift`` of the one
            that was seen, in input pixels.
        size: (w, h) of the input.

    Returns:
        Tensor: (V, D, H, W).
    """
    height, width = tokens.shape[2:]
    zoom, shift, size = (np.asarray(v, dtype=float) for v in (zoom, shift, size))
    views = []
    for view, view_tokens in enumerate(tokens):
        if view:
            shift = np.array([(size[0] - 1) * (1 - zoom[0]) - shift[0], shift[1]])
        cell = size / (width, height)
        first = (cell - 1) / 2  # the middle of the first cell
        cells = (shift + (zoom - 1) * first) / cell
        columns = interpolation_matrix(width, zoom[0], cells[0])
        rows = interpolation_matrix(height, zoom[1], cells[1])
        # One product over all cells is faster than one over each axis.
        views.append(view_tokens.flatten(1) @ torch.kron(rows, columns).T.to(tokens))
    return torch.stack(views).view_as(tokens)


def interpolation_matrix(count: int, zoom: float, shift: float) -> Tensor:
    """Cubic convolution along a row of cells, as a matrix.

    Cell i of the result is what stands at ``zoom * i + shift``, by the kernel of Keys (IEEE TASSP
    29(6), 1981, a = -1/2); the first and the last cell are repeated without end.

    Returns:
        Tensor: (count, count), float64.
    """
    position = zoom * torch.arange(count, dtype=torch.float64) + shift
    taps = position.floor()[:, None] + torch.arange(-1, 3)
    far = (position[:, None] - taps).abs()
    weights = torch.where(
        far < 1, (1.5 * far - 2.5) * far**2 + 1, ((2.5 - 0.5 * far) * far - 4) * far + 2
    )
    cells = taps.clamp(0, count - 1).long()
    return torch.zeros(count, count, dtype=torch.float64).scatter_add_(1, cells, weights)
