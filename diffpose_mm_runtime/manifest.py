"""What an exported model says of itself, written beside its parts, and its check."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

VERSION = 1
NAME = 'manifest.json'
ENDINGS = {'onnx': 'onnx', 'openvino': 'xml'}
PARTS = ('tokens', 'prepare', 'denoise')
FIELDS = (
    'format',
    'precision',
    'files',
    'keypoints',
    'skeleton',
    'sigmas',
    'flip_indices',
    'frame_offsets',
    'padding',
    'use_udp',
    'mean',
    'std',
    'bgr_to_rgb',
    'codec',
    'alphas_cumprod',
    'test_cfg',
    'prepared',
    'licence',
    'weights_sha256',
)


class ExportError(ValueError):
    """A folder that holds no usable export; the message says why and what to do."""


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of an export whose files are all there and as they were written.

    Raises:
        ExportError: It is missing, of another version, incomplete, or does not fit its files.
    """
    path = Path(folder) / NAME
    again = 'export the model again: mim run diffpose_mm export CONFIG --checkpoint CKPT --out DIR'
    if not path.is_file():
        raise ExportError(f'{folder} holds no {NAME}, so no complete export; {again}')
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ExportError(f'{path} is no JSON ({error}); {again}') from None
    version = manifest.get('version') if isinstance(manifest, dict) else None
    if version != VERSION:
        raise ExportError(f'{path} is of version {version}, this reads {VERSION}; {again}')
    missing = [field for field in FIELDS if field not in manifest]
    if missing:
        raise ExportError(f'{path} lacks {", ".join(missing)}; {again}')
    for name, digest in manifest['files'].items():
        file = Path(folder) / name
        if not file.is_file():
            raise ExportError(f'{file}, which {NAME} names, is missing; {again}')
        if file_hash(file) != digest:
            raise ExportError(f'{file} is not the file that {NAME} was written for; {again}')
    return manifest
