"""Poses of people in windows by an exported model: crops, tokens, DDIM and decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .consensus import consensus
from .crops import Placement
from .ddim import ddim_array
from .decoding import HeatmapDecoding
from .engines import check_engine, check_precision, load_part
from .manifest import ENDINGS, NAME, PARTS, ExportError, read_manifest
from .noise import noise_seeds, standard_normal
from .people import Person
from .refinement import DEFAULTS, check_refinement, with_peaks_of
from .spread_calibration import SpreadCalibration
from .windows import Frame, Window

Job = tuple[Window, Person]
CHANGED = (
    *('sampling_steps', 'num_hypotheses', 'flip_test', 'seed', 'aggregate'),
    *('strength', 'temperature', 'first_weight', 'first_scores'),
)
"""Settings of the head that a run may change."""


class ExportedPoser:
    """Poses of people, as ``diffpose_mm.apis.ClipPoser`` gives them, without torch.

    Every frame of a window goes through the crop of the keyframe's box.

    Args:
        folder: What ``export`` wrote.
        engine: 'onnxruntime' or 'openvino'. Defaults to the former.
        threads: Of the engine; 0 leaves the choice to it.
        precision: In which the networks compute: 'float32' or, by OpenVINO on processors that have
            it, 'bfloat16'. What goes in and comes out, DDIM's sums with it, is float32.
        **settings: In place of the model's ``test_cfg``: ``sampling_steps``, ``num_hypotheses``,
            ``flip_test``, ``seed``, ``aggregate``, ``strength``, ``temperature``,
            ``first_weight``, ``first_scores``.

    Attributes:
        manifest (dict): See :func:`read_manifest`.
        frame_offsets (tuple[int, ...]): Of the windows, oldest first.

    Raises:
        ExportError: The folder holds no complete export.
        ModuleNotFoundError: The engine is not installed.
        ValueError: A setting is unknown or out of range.
    """

    def __init__(
        self,
        folder: str | Path,
        engine: str = 'onnxruntime',
        threads: int = 0,
        precision: str = 'float32',
        **settings: Any,
    ) -> None:
        self.manifest = manifest = read_manifest(folder)
        check_engine(engine, manifest['format'])
        check_precision(precision, engine)
        self.test_cfg = _merged(manifest, settings)
        self.frame_offsets = tuple(manifest['frame_offsets'])
        self.codec = _codec(folder, manifest['codec'])
        ending = ENDINGS[manifest['format']]
        self.precision = precision
        self._tokens, self._prepare, self._denoise = (
            load_part(Path(folder) / f'{part}.{ending}', engine, threads, precision)
            for part in PARTS
        )
        fitted = manifest.get('spread_calibration')
        self.spread_calibration = None if fitted is None else _calibration(folder, fitted)

    def __call__(self, jobs: Sequence[Job]) -> list[dict[str, np.ndarray]]:
        """Pose a batch of people.

        Returns:
            list[dict]: One for each, in image pixels: ``keypoints`` (1, K, 2),
            ``keypoint_scores`` (1, K), of several hypotheses also ``keypoint_std`` (1, K, 2),
            ``hypotheses`` (1, R, K, 2) and ``hypothesis_scores`` (1, R, K).
        """
        if not jobs:
            return []
        places = [self.placement(person.box) for _, person in jobs]
        clips = np.stack([self._clip(window, at) for (window, _), at in zip(jobs, places)])
        prepared = [self.prepare(clips)]
        if self.test_cfg['flip_test']:
            prepared.append(self.prepare(np.ascontiguousarray(clips[..., ::-1])))
        return self._finish(prepared, jobs, places)

    def _finish(
        self,
        prepared: Sequence[Sequence[np.ndarray]],
        jobs: Sequence[Job],
        places: Sequence[Placement],
    ) -> list[dict[str, np.ndarray]]:
        """Poses of what was prepared."""
        keys = [
            dict(img_path=window.frame.name, input_center=at.center)
            for (window, _), at in zip(jobs, places)
        ]
        heatmaps = self.sample(prepared, keys)
        return [
            self._decode(maps, at, person.box)
            for maps, at, (_, person) in zip(heatmaps, places, jobs)
        ]

    def placement(self, box: np.ndarray) -> Placement:
        """Where the crop of a box (4,) lies."""
        manifest = self.manifest
        return Placement.of_box(
            box, self.codec.input_size, manifest['padding'], manifest['use_udp']
        )

    def _clip(self, window: Window, place: Placement) -> np.ndarray:
        """The crops (T, 3, h, w) of a window, normalised; what stands twice is made once."""
        distinct = {frame.index: frame for frame in window.frames}
        inputs = {index: self._input(frame, place) for index, frame in distinct.items()}
        return np.stack([inputs[index] for index in window.frame_ids])

    def _input(self, frame: Frame, place: Placement) -> np.ndarray:
        """The crop (3, h, w) of a frame, normalised."""
        return place.normalised(np.asarray(frame.image), self.manifest)

    def prepare(self, clips: np.ndarray) -> list[np.ndarray]:
        """What every denoising call needs of clips (N, T, 3, h, w)."""
        (tokens,) = self._tokens(clips.reshape(-1, *clips.shape[2:]))
        return self._prepare(tokens.reshape(*clips.shape[:2], *tokens.shape[1:]))

    def sample(
        self, prepared: Sequence[Sequence[np.ndarray]], keys: Sequence[Mapping[str, Any]]
    ) -> np.ndarray:
        """Heatmaps (N, R, K, h, w) in [0, 1].

        Args:
            prepared: From :meth:`prepare`, of the clips and with flip test of their mirror image.
            keys: N times what the noise depends on, see :func:`noise_seeds`.
        """
        cfg, codec = self.test_cfg, self.codec
        count = cfg['num_hypotheses']
        order = self.manifest['flip_indices']
        shape = (len(self.manifest['keypoints']), *codec.heatmap_size[::-1])
        seeds = [seed for key in keys for seed in noise_seeds(key, cfg['seed'], count)]
        noise = np.stack([standard_normal(seed, shape) for seed in seeds])

        def call(x_t: np.ndarray, t: np.ndarray, tensors: Sequence[np.ndarray]) -> np.ndarray:
            x_t = np.ascontiguousarray(x_t, dtype=np.float32).reshape(len(keys), count, *shape)
            return self._denoise(x_t, t[:1], *tensors)[0].reshape(-1, *shape)

        def denoise(x_t: np.ndarray, t: np.ndarray) -> np.ndarray:
            heatmaps = call(x_t, t, prepared[0])
            if len(prepared) > 1:
                mirror = call(x_t[:, order][..., ::-1], t, prepared[1])
                heatmaps = np.float32(0.5) * (heatmaps + mirror[:, order][..., ::-1])
            return codec.to_signal(heatmaps)

        refinement = (cfg[name] for name in ('strength', 'temperature', 'first_weight'))
        first, signal = ddim_array(
            denoise,
            noise,
            self.manifest['alphas_cumprod'],
            cfg['sampling_steps'],
            codec.signal_scale,
            *refinement,
        )
        heatmaps = codec.to_heatmap(signal)
        if cfg['first_scores']:
            heatmaps = with_peaks_of(heatmaps, codec.to_heatmap(first))
        return heatmaps.reshape(len(keys), count, *shape)

    def _decode(self, heatmaps: np.ndarray, place: Placement, box: np.ndarray) -> dict:
        found = self.codec.decode_hypotheses(heatmaps)
        extent = self.codec.input_extent
        if len(heatmaps) > 1 and self.test_cfg['aggregate'] == 'consensus':
            width, height = (np.asarray(box[2:], float) - box[:2]) / place.scale * extent
            chosen = consensus(
                found['hypotheses'][0], width * height, np.array(self.manifest['sigmas'])
            )
            found['keypoints'] = found['hypotheses'][:, chosen].copy()
        for name in ('keypoints', 'hypotheses'):
            found[name] = place.points(found[name], extent)
        if self.spread_calibration is not None and len(heatmaps) > 1:
            found['keypoint_std'] = self.spread_calibration(
                found['keypoint_std'],
                found['keypoint_scores'],
                len(heatmaps),
                self.test_cfg['sampling_steps'],
            )
        found['keypoint_std'] = place.lengths(found['keypoint_std'], extent)
        if len(heatmaps) == 1:
            # One hypothesis says nothing of a spread: 0 would read as "certain".
            return {name: found[name] for name in ('keypoints', 'keypoint_scores')}
        return found


def _codec(folder: str | Path, fields: Mapping[str, Any]) -> HeatmapDecoding:
    try:
        return HeatmapDecoding(**fields)
    except (TypeError, ValueError) as error:
        raise ExportError(f'{Path(folder) / NAME}: codec cannot be used ({error})') from error


def _calibration(folder: str | Path, fitted: Any) -> SpreadCalibration:
    try:
        return SpreadCalibration(fitted)
    except (KeyError, TypeError, ValueError) as error:
        where = f'{Path(folder) / NAME}: spread_calibration'
        raise ExportError(f'{where} cannot be used ({error})') from error


def _merged(manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run, checked."""
    unknown = [name for name in settings if name not in CHANGED]
    if unknown:
        raise ValueError(f'{unknown[0]} is no setting: there are {", ".join(CHANGED)}')
    given = {name: value for name, value in settings.items() if value is not None}
    cfg = {**DEFAULTS, **manifest['test_cfg'], **given}
    limit = len(manifest['alphas_cumprod'])
    for name, most in (('sampling_steps', limit), ('num_hypotheses', None)):
        value = cfg[name]
        if not isinstance(value, int) or value < 1 or (most is not None and value > most):
            top = '' if most is None else f' to {most}'
            raise ValueError(f'{name} must be an integer from 1{top or " on"}, got {value!r}')
    check_refinement(cfg)
    if cfg['aggregate'] not in ('mean', 'consensus'):
        raise ValueError(f"aggregate must be 'mean' or 'consensus', got {cfg['aggregate']!r}")
    return cfg
