"""The weights in a TensorFlow.js graph model: its JSON, and the binary shards beside it.

The format: https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts. Operations are
not read here; ``movenet_names`` knows which weight is which.
"""

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files import read_json, reason_of

TYPES = {'float32': '<f4', 'float16': '<f2', 'int32': '<i4', 'uint8': 'u1', 'uint16': '<u2'}
STORED = {**TYPES, 'bool': 'u1'}


class GraphModelError(ValueError):
    """A TensorFlow.js model that cannot be used; the message names the file."""


@dataclass(frozen=True)
class GraphModel:
    """What a TensorFlow.js model holds.

    Attributes:
        weights: By their names; float16 where they are stored so.
        made_by: What the JSON says the model was made from.
        converted_by: Who made the JSON, by its own word.
        json_sha256: Of the JSON.
        weights_sha256: Of the shards, one after the other.
    """

    weights: dict[str, np.ndarray]
    made_by: str
    converted_by: str
    json_sha256: str
    weights_sha256: str


def read_graph_model(path: str | os.PathLike) -> GraphModel:
    """Read model.json and its shards.

    Raises:
        GraphModelError: A file is missing, is something else, is cut short or too long, or holds
            types that are not known here.
    """
    path = Path(path)
    try:
        content = read_json(path)
    except OSError as error:
        raise GraphModelError(f'{path}: cannot be read: {reason_of(error)}') from error
    except ValueError as error:
        raise GraphModelError(
            f'{path}: is not JSON ({error}); give the .json of a TensorFlow.js graph model'
        ) from error
    groups = content.get('weightsManifest') if isinstance(content, dict) else None
    if not isinstance(groups, list) or not groups:
        raise GraphModelError(
            f'{path}: is no TensorFlow.js model: it has no weightsManifest; give the .json of a '
            'graph model'
        )
    weights: dict[str, np.ndarray] = {}
    digest = hashlib.sha256()
    for group in groups:
        try:
            names = [os.fspath(name) for name in group['paths']]
            rows = [_Row.of(entry) for entry in group['weights']]
        except (KeyError, TypeError, ValueError) as error:
            raise GraphModelError(
                f'{path}: its weightsManifest cannot be read: {error or type(error).__name__}'
            ) from error
        shards = [_read_shard(path, name) for name in names]
        for shard in shards:
            digest.update(shard)
        data = b''.join(shards)
        expected = sum(row.num_bytes for row in rows)
        if len(data) != expected:
            said = 'cut short' if len(data) < expected else 'too long'
            listed = ', '.join(f'{n} {len(s):,}' for n, s in zip(names, shards, strict=True))
            raise GraphModelError(
                f'{path.parent / names[-1] if names else path}: is {said}: {path.name} describes '
                f'{expected:,} bytes, there are {len(data):,} ({listed}); copy or download it again'
            )
        place = 0
        for row in rows:
            weights[row.name] = row.array(data, place)
            place += row.num_bytes
    return GraphModel(
        weights,
        str(content.get('generatedBy', '')),
        str(content.get('convertedBy', '')),
        hashlib.sha256(path.read_bytes()).hexdigest(),
        digest.hexdigest(),
    )


def _read_shard(path: Path, name: str) -> bytes:
    # A manifest names files beside itself, and has no business elsewhere.
    if Path(name).name != name:
        raise GraphModelError(f'{path}: names the weights {name!r}, which is not beside it')
    try:
        return (path.parent / name).read_bytes()
    except OSError as error:
        raise GraphModelError(
            f'{path.parent / name}: cannot be read: {reason_of(error)}; {path.name} needs it '
            'beside itself'
        ) from error


@dataclass(frozen=True)
class _Row:
    name: str
    shape: tuple[int, ...]
    stored: np.dtype
    scale: float | None
    minimum: float

    @classmethod
    def of(cls, entry: dict) -> '_Row':
        name, kind, quantization = entry['name'], entry['dtype'], entry.get('quantization') or {}
        stored = quantization.get('dtype', kind)
        if stored not in STORED or kind not in STORED:
            raise ValueError(f'{name} is stored as {stored} of {kind}, which is not known here')
        scale = quantization.get('scale')
        if stored in ('uint8', 'uint16') and kind == 'float32' and scale is None:
            raise ValueError(f'{name} is {stored} without a scale')
        shape = tuple(int(size) for size in entry['shape'])
        if min(shape, default=0) < 0:
            raise ValueError(f'{name} has the shape {shape}')
        return cls(name, shape, np.dtype(STORED[stored]), scale, quantization.get('min', 0.0))

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.stored.itemsize

    def array(self, data: bytes, place: int) -> np.ndarray:
        found = np.frombuffer(data, self.stored, math.prod(self.shape), place).reshape(self.shape)
        if self.scale is not None:
            return found.astype(np.float32) * np.float32(self.scale) + np.float32(self.minimum)
        return found
