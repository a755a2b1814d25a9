"""Tensors out of a file, whose form its content tells: safely, and unchanged while it is read."""

import json
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .errors import WeightsError
from .safetensors_format import is_safetensors, read_safetensors

# What torch says where it refuses a type, and not where a file is damaged.
REFUSALS = ('GLOBAL', 'allowlisted', 'unrecognized function', 'may not read')
# How files begin that are often taken for weights, and what to do.
OTHER_FILES = (
    (b'version https://git-lfs', 'a pointer of Git LFS, not the file itself: run git lfs pull'),
    (b'<', 'a web page: the download was answered with text; look at it, and download anew'),
    (b'GGUF', "a language model in llama.cpp's form (GGUF)"),
    (b'\x89HDF', 'an HDF5 file of Keras; take the same model for PyTorch'),
    (b'\x1f\x8b', 'a gzip archive: unpack it first'),
    (
        b'\x08',
        'an ONNX graph, whose weights have lost their names: take the same model for PyTorch',
    ),
)


@dataclass
class Content:
    """What a file, or the shards of one model, hold.

    Attributes:
        value: Tensors by name, or whatever dict a .pth file holds.
        form: 'safetensors' or 'torch'.
        metadata: Of safetensors.
        files: The files that were read.
    """

    value: Any
    form: str
    metadata: dict[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


def read_content(path: Path) -> Content:
    """Read a file, or the shards that it is the index of.

    Args:
        path: A safetensors file, a file of ``torch.save``, or the ``*.index.json`` of shards.

    Raises:
        WeightsError: The file is missing, cut, of another kind, holds what is not plain weights,
            changed while it was read, or is an index without its shards.
    """
    before = _fingerprint(path)
    with _naming(path), open(path, 'rb') as file:
        start = file.read(64)
    if not start:
        raise WeightsError(f'{path} is empty; copy or download it again')
    if is_safetensors(start):
        with _naming(path):
            content = Content(*_safetensors(path), files=(path,))
    elif start.lstrip()[:1] == b'{' and path.suffix == '.json':
        content = _read_shards(path)
    else:
        content = Content(_read_torch(path, start), 'torch', files=(path,))
    if _fingerprint(path) != before:
        raise WeightsError(f'{path} changed while it was read; wait until it is written, and retry')
    return content


def _safetensors(path: Path) -> tuple[dict, str, dict]:
    tensors, metadata = read_safetensors(path)
    return tensors, 'safetensors', metadata


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in what the system says is wrong with it."""
    try:
        yield
    except OSError as error:
        raise WeightsError(f'{path} cannot be read: {error.strerror or error}') from error


def _fingerprint(path: Path) -> tuple[int, int, int]:
    with _naming(path):
        status = os.stat(path)
    return status.st_size, status.st_mtime_ns, status.st_ino


def _read_shards(index: Path) -> Content:
    try:
        places = json.loads(index.read_text(encoding='utf-8'))['weight_map']
        names = sorted({str(name) for name in places.values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f'{index} is no index of weights: it has no "weight_map" of names to files'
        ) from error
    strange = [name for name in names if Path(name).name != name]
    if strange:
        raise WeightsError(f'{index} points out of its folder ({strange[0]}), and is refused')
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing or not names:
        some = ', '.join(missing[:3]) + (', ...' if len(missing) > 3 else '')
        raise WeightsError(
            f'{index} names {len(names)} files, of which {len(missing)} are not beside it: {some}; '
            'download the whole folder'
        )
    value: dict[str, Any] = {}
    shards = [read_content(index.parent / name) for name in names]
    for name, shard in zip(names, shards):
        wanted = [key for key, place in places.items() if place == name]
        lost = [key for key in wanted if key not in shard.value]
        if lost:
            raise WeightsError(
                f'{index.parent / name} lacks {len(lost)} of the weights that {index.name} places '
                f'there, as {lost[0]}: they are of different downloads; download the whole folder'
            )
        value.update((key, shard.value[key]) for key in wanted)
    return Content(
        value, shards[0].form, shards[0].metadata, (index, *(index.parent / n for n in names))
    )


def _read_torch(path: Path, start: bytes) -> Any:
    is_zip, is_pickle = start.startswith(b'PK'), start[:1] == b'\x80'
    if not is_zip and not is_pickle:
        for sign, meaning in OTHER_FILES:
            if start.lstrip().startswith(sign):
                raise WeightsError(f'{path} is {meaning}')
        if _may_be_cut_safetensors(start):
            raise WeightsError(f'{path} is cut short or damaged; copy or download it again')
        raise WeightsError(
            f'{path} is neither a safetensors file nor one of torch.save; its first bytes are '
            f'{start[:8]!r}'
        )
    damaged = f'{path} is cut short or damaged; copy or download it again'
    if is_zip:
        try:
            with _naming(path), zipfile.ZipFile(path) as archive:
                bad = archive.testzip()  # torch does not compare the sums itself
                files = archive.namelist()
        except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(damaged) from error
        if bad:
            raise WeightsError(f'{damaged} ({bad} does not match its checksum)')
        if not any(name.endswith('data.pkl') for name in files):
            raise WeightsError(f'{path} is a zip archive without weights of torch.save; unpack it')
        if any('/code/' in name or name.endswith('constants.pkl') for name in files):
            raise WeightsError(
                f'{path} is TorchScript, a program and not weights; take the checkpoint of it'
            )
    try:
        # weights_only said here, no variable of the environment can turn it off. An open file,
        # because torch 2.14 hands a path that ends in .safetensors to that library.
        with open(path, 'rb') as file:
            return torch.load(file, map_location='cpu', weights_only=True)
    except (
        pickle.UnpicklingError,
        EOFError,
        RuntimeError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        struct.error,
    ) as error:
        reason = str(error) or type(error).__name__
        if not any(sign in reason for sign in REFUSALS):
            raise WeightsError(
                f'{damaged} ({reason.splitlines()[0].partition(". ")[0]})'
            ) from error
        found = re.search(r"GLOBAL (\S+)|got <class '(.+?)'", reason)
        kind = (found[1] or found[2]) if found else 'an object'
        raise WeightsError(
            f'{path} holds {kind}, which is not plain weights, and is refused because unpickling '
            'it could run code; ask for the weights alone, best as safetensors'
        ) from error


def _may_be_cut_safetensors(start: bytes) -> bool:
    return len(start) <= 9 or start[4:8] == b'\0\0\0\0'
