"""Poses of a stream by an exported model, each person-frame through the backbone only once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .crops import Placement
from .poser import ExportedPoser
from .streams import CROP_TOLERANCE, Crop, Job, StreamCrops, StreamState
from .tokens import resampling_matrices


class StreamingExportedPoser(StreamCrops, ExportedPoser):
    """What ``diffpose_mm.apis.StreamingPoser`` is to torch, by an exported model.

    Args:
        folder, engine, threads, precision, **settings: As of :class:`ExportedPoser`.
        offsets: Frames of a window relative to its keyframe. Defaults to those of the export.
        crop_tolerance: As of :class:`StreamCrops`. Defaults to that of the export.
        state: As of :class:`StreamCrops`.
    """

    def __init__(
        self,
        folder: str | Path,
        engine: str = 'onnxruntime',
        threads: int = 0,
        offsets: Sequence[int] | None = None,
        crop_tolerance: float | None = None,
        state: StreamState | None = None,
        precision: str = 'float32',
        **settings: Any,
    ) -> None:
        ExportedPoser.__init__(self, folder, engine, threads, precision, **settings)
        if crop_tolerance is None:
            crop_tolerance = self.manifest['test_cfg'].get('crop_tolerance', CROP_TOLERANCE)
        StreamCrops.__init__(self, offsets or self.frame_offsets, crop_tolerance, state)

    def __call__(self, jobs: Sequence[Job]) -> list[dict[str, np.ndarray]]:
        """See :class:`ExportedPoser`; keyframes have to come in order, people with track ids."""
        if not jobs:
            return []
        self._embed_missing(jobs)
        clips, places = [], []
        for window, person in jobs:
            frames = self._track(person).frames
            crop = frames[window.frame_id][0]
            clips.append(
                np.stack([self._in_crop(crop, *frames[i]) for i in window.frame_ids], axis=1)
            )
            places.append(crop.sample)
        views = np.stack(clips, axis=1)
        prepared = [self._prepare(np.ascontiguousarray(view)) for view in views]
        found = self._finish(prepared, jobs, places)
        self._forget(jobs[-1][0])
        return found

    def _embed_missing(self, jobs: Sequence[Job]) -> None:
        """Put all frames of the windows into the state, the new ones through the backbone."""
        self._assign_crops(jobs)
        missing, inputs = [], []
        for window, person in jobs:
            track = self._track(person)
            for frame in window.frames:
                crop, tokens = track.frames[frame.index]
                if tokens is not None:
                    continue
                crop.sample = crop.sample or self.placement(crop.box)
                image = self._input(frame, crop.sample)
                track.frames[frame.index] = crop, image  # a place, filled below
                missing.append((track, frame.index, crop))
                inputs.append(image)
        self.state.person_frames += len(jobs)
        if not inputs:
            return
        images = np.stack(inputs)
        mirrored = [np.ascontiguousarray(images[..., ::-1])] if self.test_cfg['flip_test'] else []
        views = np.stack([self._tokens(view)[0] for view in (images, *mirrored)], axis=1)
        for (track, number, crop), tokens in zip(missing, views):
            track.frames[number] = crop, tokens
        self.state.backbone_passes += len(missing)

    def _in_crop(self, target: Crop, crop: Crop, tokens: np.ndarray) -> np.ndarray:
        """Tokens (V, D, H, W) of a frame as the target crop would have them."""
        if crop is target:
            return tokens
        (origin, scale), (target_origin, target_scale) = map(_corner, (crop, target))
        shift = (target_origin - origin) * self.codec.input_extent / scale
        rows, columns = tokens.shape[2:]
        matrices = resampling_matrices(
            (rows, columns), len(tokens), target_scale / scale, shift,
            np.asarray(self.codec.input_size, dtype=float),
        )  # fmt: skip
        flat = tokens.reshape(*tokens.shape[:2], -1)
        moved = [view @ matrix.astype(np.float32) for view, matrix in zip(flat, matrices)]
        return np.stack(moved).reshape(tokens.shape)


def _corner(crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """Upper left corner and scale of a crop, each (x, y) in image pixels."""
    place: Placement = crop.sample
    scale = place.scale.astype(float)
    return place.center.astype(float) - scale / 2, scale
