"""Joints by an export beside those of the model that it was made of."""

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from diffpose_mm_runtime import ExportedPoser

CASES = 4


class Differences(NamedTuple):
    """Distances between the joints of both sides, input pixels."""

    mean: float
    median: float
    largest: float


@torch.no_grad()
def compare(model: Any, folder: Path, engine: str, seed: int = 0) -> Differences:
    """Run both on crops of smooth random colours, hypotheses and flip test as the model has them.

    Args:
        model: The estimator, in evaluation on the CPU.
        folder: The export.
        engine: That runs it.
        seed: Of the crops.
    """
    poser = ExportedPoser(folder, engine)
    width, height = poser.codec.input_size
    generator = np.random.default_rng(seed)
    shape = (CASES, len(poser.frame_offsets), 3)
    coarse = generator.normal(0, 1, (*shape, 8, 8)).astype(np.float32)
    clips = np.stack([cv2.resize(c, (width, height)) for c in coarse.reshape(-1, 8, 8)])
    clips = clips.reshape(*shape, height, width)
    keys = [dict(img_path='verify', id=i) for i in range(CASES)]

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
    distances = np.linalg.norm(np.stack(both[0]) - np.stack(both[1]), axis=-1)
    return Differences(float(distances.mean()), float(np.median(distances)), float(distances.max()))


class _Sample(NamedTuple):
    metainfo: dict
