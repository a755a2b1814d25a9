"""The safetensors format, read and written: tensors and a table of texts, and nothing that runs.

A file is eight bytes with the length of a header (little endian), the header (JSON: for each tensor
its type, shape and place; ``__metadata__``), and the tensors' bytes
(https://huggingface.co/docs/safetensors). Written here in a few lines because the weights that come
along have to be read where the library is not installed.
"""

import json
import math
import os
import struct
from collections.abc import Mapping

import torch
from torch import Tensor

from ..files import atomic_write

TYPES = {
    'F64': torch.float64,
    'F32': torch.float32,
    'F16': torch.float16,
    'BF16': torch.bfloat16,
    'I64': torch.int64,
    'I32': torch.int32,
    'I16': torch.int16,
    'I8': torch.int8,
    'U8': torch.uint8,
    'BOOL': torch.bool,
}
NAMES = {kind: name for name, kind in TYPES.items()}
METADATA = '__metadata__'
_LENGTH = struct.Struct('<Q')
MAX_HEADER = 100_000_000
_ALIGNMENT = 8


def write_safetensors(
    path: str | os.PathLike, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write a file, whole or not at all; the same content gives the same bytes.

    Args:
        path: Where to.
        tensors: Any shapes, of the types in ``TYPES``.
        metadata: Texts.

    Raises:
        OSError: It cannot be written.
    """
    header: dict[str, object] = {METADATA: dict(metadata)}
    parts, place = [], 0
    # The library's order: wide types first, so that each tensor lies at a multiple of its width.
    for name in sorted(tensors, key=lambda name: (-tensors[name].element_size(), name)):
        value = tensors[name].detach().cpu().contiguous()
        data = value.reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = dict(
            dtype=NAMES[value.dtype],
            shape=list(value.shape),
            data_offsets=[place, place + len(data)],
        )
        parts.append(data)
        place += len(data)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % _ALIGNMENT)
    with atomic_write(path, 'wb') as file:
        file.write(_LENGTH.pack(len(text)) + text)
        file.writelines(parts)


def read_safetensors(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not safetensors, is cut short, or has something behind its tensors; the
            message says what, and leaves naming the file to the caller.
    """
    with open(path, 'rb') as file:
        data = file.read()
    return parse_safetensors(data)


def parse_safetensors(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """As :func:`read_safetensors`, from a file's bytes."""
    if len(data) < _LENGTH.size:
        raise ValueError(f'it is not safetensors: it has {len(data)} bytes')
    (length,) = _LENGTH.unpack_from(data)
    if length > MAX_HEADER:
        raise ValueError('it is not safetensors: the length of its header is out of range')
    start = _LENGTH.size + length
    if start > len(data):
        raise ValueError('it is cut short: its header is not complete')
    try:
        header = json.loads(data[_LENGTH.size : start])
        metadata = header.pop(METADATA, {})
        rows = {name: _row(entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError('it is not safetensors: its header cannot be read') from error
    end = max((row[3] for row in rows.values()), default=0)
    if len(data) - start != end:
        said = 'is cut short' if len(data) - start < end else 'is longer than its header says'
        raise ValueError(f'it {said}: {len(data):,} bytes, {start + end:,} expected')
    body = memoryview(bytearray(data)[start:])  # a copy that torch may write to
    tensors = {}
    for name, (kind, shape, first, last) in rows.items():
        if last == first:
            tensors[name] = torch.empty(shape, dtype=kind)
            continue
        flat = torch.frombuffer(body[first:last], dtype=torch.uint8)
        tensors[name] = flat.clone().view(kind).reshape(shape)
    return tensors, {str(key): str(value) for key, value in metadata.items()}


def _row(entry: dict) -> tuple[torch.dtype, list[int], int, int]:
    """Type, shape, first and last byte of a tensor. Raises ValueError where they do not agree."""
    kind, shape, (first, last) = TYPES[entry['dtype']], entry['shape'], entry['data_offsets']
    if not 0 <= first <= last or last - first != math.prod(shape) * kind.itemsize:
        raise ValueError(entry)
    return kind, shape, first, last
