"""The safetensors format, read into memory and written, with torch alone.

A file is 8 bytes with the length of a JSON header, the header (name -> dtype, shape, place), and
the tensors' bytes (https://github.com/huggingface/safetensors#format). The usual reader maps a file
into memory, so that a file which is cut while it is in use ends the process (SIGBUS); here it is
read as any other, and compared with its header first.
"""

import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .errors import WeightsError

DTYPES = {
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
NAMES = {dtype: name for name, dtype in DTYPES.items()}
MAX_HEADER = 100_000_000
METADATA = '__metadata__'


def is_safetensors(start: bytes) -> bool:
    """Whether a file that starts so is in the format; names play no part.

    Args:
        start: Its first nine bytes, or more.
    """
    return (
        len(start) > 8
        and start[8:9] == b'{'
        and 2 <= struct.unpack('<Q', start[:8])[0] <= MAX_HEADER
    )


def read_header(path: str | os.PathLike) -> tuple[dict[str, dict], dict[str, str], int]:
    """Read what a file says it holds, and compare it with the file's size.

    Returns:
        Name -> ``dtype``, ``shape`` and ``data_offsets``; the metadata; where the tensors begin
        (bytes).

    Raises:
        WeightsError: The file is cut short, or its header is not one.
        OSError: It cannot be read.
    """
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        length = struct.unpack('<Q', file.read(8).ljust(8, b'\0'))[0]
        if length > min(MAX_HEADER, size - 8):
            raise WeightsError(
                f'{path} is cut short: its header alone needs {8 + length:,} bytes, and it has '
                f'{size:,}; copy or download it again'
            )
        text = file.read(length)
    try:
        header = json.loads(text)
        metadata = header.pop(METADATA, None) or {}
        ends = [_check_entry(name, entry) for name, entry in header.items()]
        _check_places(header)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f'{path} is damaged: its header is not that of safetensors ({error}); download it again'
        ) from error
    whole = 8 + length + max(ends, default=0)
    if size < whole:
        raise WeightsError(
            f'{path} is cut short: it should have {whole:,} bytes and has {size:,}; copy or '
            'download it again'
        )
    if size > whole:
        raise WeightsError(
            f'{path} is damaged: {size - whole:,} bytes follow its last tensor; download it again'
        )
    return header, {str(key): str(value) for key, value in metadata.items()}, 8 + length


def _check_entry(name: str, entry: dict) -> int:
    """Raise unless dtype, shape and place of a tensor agree; returns where it ends."""
    begin, end = entry['data_offsets']
    if entry['dtype'] not in DTYPES:
        raise ValueError(f'{name} is of the type {entry["dtype"]}, which is not supported')
    sizes = [int(size) for size in entry['shape']]
    expected = math.prod(sizes) * DTYPES[entry['dtype']].itemsize
    if min(sizes, default=0) < 0 or begin < 0 or end - begin != expected:
        raise ValueError(f'{name} has {end - begin} bytes, its shape needs {expected}')
    return int(end)


def _check_places(header: dict) -> None:
    """Raise unless each tensor begins where the one before it ends, as the format demands."""
    expected = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]['data_offsets']):
        begin, end = entry['data_offsets']
        if begin != expected:
            raise ValueError(f'{name} begins at {begin}, the tensor before it ends at {expected}')
        expected = end


def read_safetensors(path: str | os.PathLike) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a file into memory.

    Returns:
        Tensors by name, and the metadata (both strings).

    Raises:
        WeightsError: See :func:`read_header`.
        OSError: It cannot be read.
    """
    header, metadata, start = read_header(path)
    tensors = {}
    with open(path, 'rb') as file:
        for name, entry in sorted(header.items(), key=lambda item: item[1]['data_offsets']):
            tensor = torch.empty(tuple(entry['shape']), dtype=DTYPES[entry['dtype']])
            if tensor.numel():
                file.seek(start + entry['data_offsets'][0])
                room = _bytes_of(tensor)
                if file.readinto(room) != len(room):
                    raise WeightsError(
                        f'{path} became shorter while it was read; wait until it is written'
                    )
            tensors[name] = tensor
    return tensors, metadata


def write_safetensors(
    file: Any, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors, each in full even where two share memory.

    Args:
        file: Open for writing bytes, such as what ``files.atomic_write(path, 'wb')`` gives.
        tensors: By name.
        metadata: Strings by name.

    Raises:
        WeightsError: A value is not a dense tensor of a type that the format has.
    """
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    place = 0
    # Wide types first, so that every tensor lies at a multiple of its own width.
    order = sorted(tensors, key=lambda name: (-_width(name, tensors[name]), name))
    for name in order:
        tensor = tensors[name]
        end = place + tensor.numel() * tensor.element_size()
        header[name] = dict(
            dtype=NAMES[tensor.dtype], shape=list(tensor.shape), data_offsets=[place, end]
        )
        place = end
    text = json.dumps(header, separators=(',', ':'), ensure_ascii=False).encode()
    text += b' ' * (-len(text) % 8)
    file.write(struct.pack('<Q', len(text)) + text)
    for name in order:
        tensor = tensors[name].detach().cpu().contiguous()
        if tensor.numel():
            file.write(_bytes_of(tensor))


def _bytes_of(tensor: torch.Tensor) -> Any:
    """A dense tensor's own memory, to be read and written."""
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


def _width(name: str, tensor: torch.Tensor) -> int:
    if not torch.is_tensor(tensor) or tensor.layout != torch.strided or tensor.dtype not in NAMES:
        kind = getattr(tensor, 'dtype', type(tensor).__name__)
        raise WeightsError(f'{name} is {kind}, which a safetensors file cannot hold')
    return tensor.element_size()


def metadata_of(path: str | os.PathLike) -> dict[str, str]:
    """The metadata alone, without reading the tensors.

    Raises:
        WeightsError: See :func:`read_header`.
        OSError: It cannot be read.
    """
    return read_header(Path(path))[1]
