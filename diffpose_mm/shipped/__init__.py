"""Weights that come with the package, by name: ``shipped://diffpose-real``.

Those of MoveNet were made by ``import_weights`` from published files; where those are from, their
licences and what was changed stand in NOTICE beside them and in each file's metadata. The model of
clips was trained here, on MoveNet's backbone: README.md beside it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader
from torch import Tensor

from ..weights import read_safetensors

SCHEME = 'shipped://'
FOLDER = Path(__file__).resolve().parent
SUFFIX = '.safetensors'


class ShippedWeightsError(ValueError):
    """Weights that come with the package are not there, or not what was shipped."""


@dataclass(frozen=True)
class Published:
    """A published network that is known here.

    Attributes:
        width: Of its backbone, see ``MoveNetBackbone``.
        json_sha256, weights_sha256: Of the published TensorFlow.js files (the weights' shards one
            after the other).
        sha256: Of the file that comes along, which ``import_weights`` makes of them.
        title: What it is called.
    """

    width: float
    json_sha256: str
    weights_sha256: str
    sha256: str
    title: str


PUBLISHED = {
    'movenet-thunder': Published(
        1.75,
        '7ac4e2a8449fc279f71b8b0ba52f7c5daafc124ce9b6bf7549289ca432e342b6',
        'a2925747fccaf737c0f20eacdeff919efd5d514e90242397002a0de349dff18c',
        'da300990284250bc4e6104fe6e003c42b93a97e6e674057885e9b1fd458ba45e',
        'MoveNet Thunder',
    ),
    'movenet-multipose': Published(
        1.5,
        '3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de',
        '19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118',
        '7f0cee092c58eb6e811e8b8afce4a2600716572398ae8954f463e8f00ffa695b',
        'MoveNet MultiPose',
    ),
}

DIGESTS = {
    'diffpose-real': '6ee90238756bb5793f3fce6ea61b474e9950b8f939eae4083aebb029c0939662',
    **{name: published.sha256 for name, published in PUBLISHED.items()},
}
"""sha256 of each file that comes along."""


def shipped_path(name: str) -> Path:
    """The file of shipped weights.

    Args:
        name: A key of ``DIGESTS``, with or without ``shipped://``.

    Raises:
        ShippedWeightsError: There are none of that name.
    """
    bare = name.removeprefix(SCHEME)
    if bare not in DIGESTS:
        raise ShippedWeightsError(
            f'{name}: no weights of that name come along; there are '
            f'{", ".join(SCHEME + known for known in DIGESTS)}'
        )
    return FOLDER / (bare + SUFFIX)


def read_shipped(name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights as float32, and their metadata, after a look at the hash.

    Args:
        name: See :func:`shipped_path`.

    Raises:
        ShippedWeightsError: There are none of that name; the file is missing, or is not the one
            that was shipped.
    """
    path = shipped_path(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ShippedWeightsError(
            f'{path}: cannot be read ({error.strerror or error}), although it is a part of '
            'diffpose_mm: install the package again'
        ) from error
    if hashlib.sha256(data).hexdigest() != DIGESTS[path.stem]:
        raise ShippedWeightsError(
            f'{path}: is not the file that diffpose_mm comes with ({len(data):,} bytes, another '
            'sha256): install the package again, or give another file by its own path'
        )
    tensors, metadata = read_safetensors(path)
    return {key: value.float() for key, value in tensors.items()}, metadata


def load_shipped(
    filename: str, map_location: Any = None, decode: Callable[[dict], dict] = dict
) -> dict:
    """:func:`read_shipped` for mmengine's loader, onto the CPU, as a checkpoint.

    Args:
        filename: See :func:`shipped_path`.
        map_location: Has no meaning here.
        decode: Makes arrays and tuples of what JSON has in their place.
    """
    state_dict, metadata = read_shipped(filename)
    return dict(state_dict=state_dict, meta=decode(_read_json(metadata)))


def _read_json(metadata: dict[str, str]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key, text in metadata.items():
        try:
            read[key] = json.loads(text)
        except ValueError:
            read[key] = text
    return read


def register_scheme(decode: Callable[[dict], dict]) -> None:
    """Teach mmengine's loader the names: ``init_cfg``, ``load_from``, ``--checkpoint``."""

    def load(filename: str, map_location: Any = None) -> dict:
        return load_shipped(filename, map_location, decode)

    CheckpointLoader.register_scheme(SCHEME, load, force=True)
