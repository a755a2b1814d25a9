"""Poses of a stream, each person-frame through the backbone only once.

The model knows no time between calls. What a stream remembers stands in :class:`StreamState`.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmpose.structures import PoseDataSample
from torch import Tensor

from diffpose_mm_runtime.streams import CROP_TOLERANCE, Crop, StreamCrops, StreamState, Track

from ..datasets.transforms import LoadClip
from ..models.clip_neck import ClipNeck
from .people import Person
from .poser import ClipPoser, Job
from .tokens import resample_tokens
from .windows import Window

__all__ = ['Crop', 'StreamState', 'StreamingPoser', 'Track']


class StreamingPoser(StreamCrops, ClipPoser):
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
            of the longer side of the latter. 0 renews the crop at any motion. A crop that is held
            longer steadies the joints, and fits the person less well. Defaults to
            ``test_cfg.crop_tolerance``, else 0.05.
        state: Defaults to a new one.

    Raises:
        ValueError: The model has no neck of that kind; ``crop_tolerance`` is negative.
    """

    def __init__(
        self,
        model: Any,
        pipeline: Compose,
        offsets: Sequence[int],
        crop_tolerance: float | None = None,
        state: StreamState | None = None,
        test_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        ClipPoser.__init__(self, model, pipeline, test_cfg)
        neck = getattr(model, 'neck', None)
        if not isinstance(neck, ClipNeck):
            raise ValueError(
                f'streaming needs a neck that embeds each frame alone (a ClipNeck, as '
                f'SpatioTemporalNeck is), but the neck of this model is {type(neck).__name__}'
            )
        if crop_tolerance is None:
            crop_tolerance = self.test_cfg.get('crop_tolerance', CROP_TOLERANCE)
        StreamCrops.__init__(self, offsets, crop_tolerance, state)
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


def _placement(crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """Upper left corner and scale of a crop, each (x, y) in image pixels."""
    assert crop.sample is not None
    scale = np.asarray(crop.sample.metainfo['input_scale'], dtype=float)
    return np.asarray(crop.sample.metainfo['input_center'], dtype=float) - scale / 2, scale
