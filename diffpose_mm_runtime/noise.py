"""The noise that sampling starts from: the numbers of torch's CPU generator, without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

BLOCK = 16
"""Numbers that torch transforms at once."""


def noise_seeds(metainfo: Mapping[str, Any], seed: int, count: int) -> list[int]:
    """Seeds of a sample's hypotheses, the same in any batch, order and process.

    Args:
        metainfo: Of the sample. ``img_id`` (else ``img_path``) and ``id`` identify it; without
            ``id``, the place of the crop does.
        seed: ``test_cfg.seed``.
        count: Number of hypotheses. Seed n does not depend on it.
    """
    image = metainfo.get('img_id', metainfo.get('img_path'))
    instance = metainfo.get('id')
    if instance is None:
        instance = [round(float(v), 3) for v in metainfo.get('input_center', ())]
    seeds = []
    for hypothesis in range(count):
        digest = hashlib.sha256(repr((seed, image, instance, hypothesis)).encode()).digest()
        seeds.append(int.from_bytes(digest[:8], 'big') >> 1)
    return seeds


def standard_normal(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """What ``torch.randn(shape, generator=torch.Generator().manual_seed(seed))`` gives, to 1e-6.

    torch seeds a Mersenne Twister with the lower 32 bits, makes 24-bit uniform numbers of its
    words, and pairs number i of each block of 16 with number i + 8 (Box and Muller).

    Returns:
        np.ndarray: float32.

    Raises:
        ValueError: Fewer than 16 numbers, which torch draws in another way.
    """
    size = int(np.prod(shape))
    if size < BLOCK:
        raise ValueError(f'noise of shape {shape} has fewer than {BLOCK} numbers')
    twister = np.random.RandomState(seed & 0xFFFFFFFF)
    rest = size % BLOCK
    words = twister.randint(0, 2**32, size + (BLOCK if rest else 0), dtype=np.uint32)
    uniform = (words & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)
    values = np.empty(size, np.float32)
    values[: size - rest] = _box_muller(uniform[: size - rest])
    if rest:
        # The last whole block is drawn anew, over numbers that were there.
        values[-BLOCK:] = _box_muller(uniform[size:])
    return values.reshape(shape)


def _box_muller(uniform: np.ndarray) -> np.ndarray:
    first, second = uniform.astype(np.float64).reshape(-1, 2, BLOCK // 2).transpose(1, 0, 2)
    radius, angle = np.sqrt(-2 * np.log(1 - first)), 2 * np.pi * second
    pairs = np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1)
    return pairs.reshape(-1).astype(np.float32)
