"""Joints by an export beside those of the model that it was made of."""

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from diffpose_mm_runtime import ExportedPoser

CASES = 4


class Differences(NamedTuple):
    """Distances between the joints of both sides, input pixels.

    Attributes:
        mean: Of all joints.
        median: Of all joints.
        at_95: Nineteen of twenty joints are no further apart.
        largest: Of all joints.
        jumps: Share of joints that are further apart than a peak of the heatmap is wide (one
            standard deviation): they are on another peak.
    """

    mean: float
    median: float
    at_95: float
    largest: float
    jumps: float


@torch.no_grad()
def compare(
    model: Any, folder: Path, engine: str, seed: int = 0, clips: np.ndarray | None = None
) -> Differences:
    """Run both, hypotheses and flip test as the model has them.

    Args:
        model: The estimator, in evaluation on the CPU.
        folder: The export.
        engine: That runs it.
        seed: Of the crops that are made where none are given, of smooth random colours.
        clips: (N, T, 3, h, w) float32, normalised.
    """
    poser = ExportedPoser(folder, engine)
    if clips is None:
        clips = _random_clips(len(poser.frame_offsets), poser.codec.input_size, seed)
    distances = [
        _distances(model, poser, clips[start : start + CASES], start)
        for start in range(0, len(clips), CASES)
    ]
    found = np.concatenate([part.ravel() for part in distances])
    stride = poser.codec.input_size[0] / poser.codec.heatmap_size[0]
    return Differences(
        float(found.mean()),
        float(np.median(found)),
        float(np.percentile(found, 95)),
        float(found.max()),
        float((found > poser.codec.sigma * stride).mean()),
    )


def _random_clips(frames: int, size: tuple[int, int], seed: int) -> np.ndarray:
    """Some clips (N, T, 3, h, w) of smooth random colours."""
    width, height = size
    shape = (CASES, frames, 3)
    coarse = np.random.default_rng(seed).normal(0, 1, (*shape, 8, 8)).astype(np.float32)
    clips = np.stack([cv2.resize(c, (width, height)) for c in coarse.reshape(-1, 8, 8)])
    return clips.reshape(*shape, height, width)


def _distances(model: Any, poser: ExportedPoser, clips: np.ndarray, first: int) -> np.ndarray:
    """How far the joints (N, K) of clips are apart, in input pixels."""
    keys = [dict(img_path='verify', id=first + i) for i in range(len(clips))]
    views = [clips, np.ascontiguousarray(clips[..., ::-1])]
    views = views if poser.test_cfg['flip_test'] else views[:1]
    found = poser.sample([poser.prepare(view) for view in views], keys)

    feats: Any = [model.extract_feat(torch.from_numpy(view)) for view in views]
    cfg = model.head.check_test_cfg(model.test_cfg)
    flip = poser.manifest['flip_indices']
    samples: Any = [_Sample(dict(key, flip_indices=flip)) for key in keys]
    feats = feats if cfg['flip_test'] else feats[0]
    expected = model.head.sample(feats, samples, cfg).numpy()

    decode = poser.codec.batch_decode
    both = [decode(maps.reshape(-1, *maps.shape[2:]))[0] for maps in (found, expected)]
    return np.linalg.norm(np.stack(both[0]) - np.stack(both[1]), axis=-1)


class _Sample(NamedTuple):
    metainfo: dict
