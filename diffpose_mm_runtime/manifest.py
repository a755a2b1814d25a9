"""What an exported model says of itself, written beside its parts, and its check."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

VERSION = 1
NAME = 'manifest.json'
NUMBER = (int, float)
STORED = ('float32', 'int8')
"""Precisions of the backbone's file."""
ENDINGS = {'onnx': 'onnx', 'openvino': 'xml'}
PARTS = ('tokens', 'prepare', 'denoise')
SETTINGS = {'sampling_steps', 'num_hypotheses', 'flip_test', 'seed', 'aggregate'}
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


AGAIN = 'export the model again: mim run diffpose_mm export CONFIG --checkpoint CKPT --out DIR'


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
    if not path.is_file():
        raise ExportError(f'{folder} holds no {NAME}, so no complete export; {AGAIN}')
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ExportError(f'{path} is no JSON ({error}); {AGAIN}') from None
    version = manifest.get('version') if isinstance(manifest, dict) else None
    if version != VERSION:
        raise ExportError(f'{path} is of version {version}, this reads {VERSION}; {AGAIN}')
    missing = [field for field in FIELDS if field not in manifest]
    if missing:
        raise ExportError(f'{path} lacks {", ".join(missing)}; {AGAIN}')
    _check_fields(manifest, path)
    for name, digest in manifest['files'].items():
        file = Path(folder) / name
        if not file.is_file():
            raise ExportError(f'{file}, which {NAME} names, is missing; {AGAIN}')
        if file_hash(file) != digest:
            raise ExportError(f'{file} is not the file that {NAME} was written for; {AGAIN}')
    return manifest


def _check_fields(manifest: dict[str, Any], path: Path) -> None:
    """Raise ExportError naming the first field that is not what ``export`` writes."""
    kind = manifest['format']
    if not isinstance(kind, str) or kind not in ENDINGS:
        raise ExportError(f'{path}: format {kind!r} is not read, but {" and ".join(ENDINGS)} are')
    files = manifest['files']
    if not isinstance(files, dict):
        raise ExportError(f'{path}: files has to be an object from name to SHA-256; {AGAIN}')
    for name in (f'{part}.{ENDINGS[kind]}' for part in PARTS):
        if name not in files:
            raise ExportError(f'{path}: files has no entry {name}; {AGAIN}')
    if manifest['precision'] not in STORED:
        raise ExportError(
            f'{path}: precision {manifest["precision"]!r} is not read, but {" and ".join(STORED)} '
            f'are; {AGAIN}'
        )
    names = manifest['keypoints']
    if not _is_list(names, str) or not names:
        raise ExportError(f'{path}: keypoints has to be a list of names; {AGAIN}')
    count = len(names)
    order = manifest['flip_indices']
    if isinstance(order, list) and len(order) != count:
        raise ExportError(
            f'{path}: keypoints has {count} names and flip_indices {len(order)} entries; {AGAIN}'
        )
    pairs = manifest['skeleton']
    fits = dict(
        skeleton=_is_list(pairs, list)
        and all(_is_list(p, int, 2) and all(0 <= i < count for i in p) for p in pairs),
        sigmas=_is_list(manifest['sigmas'], NUMBER, count),
        flip_indices=_is_list(manifest['flip_indices'], int)
        and sorted(manifest['flip_indices']) == list(range(count)),
        frame_offsets=_is_list(manifest['frame_offsets'], int) and 0 in manifest['frame_offsets'],
        padding=isinstance(manifest['padding'], NUMBER) and manifest['padding'] > 0,
        use_udp=isinstance(manifest['use_udp'], bool),
        mean=_is_list(manifest['mean'], NUMBER, 3),
        std=_is_list(manifest['std'], NUMBER, 3) and all(manifest['std']),
        bgr_to_rgb=isinstance(manifest['bgr_to_rgb'], bool),
        codec=isinstance(manifest['codec'], dict),
        alphas_cumprod=_is_list(manifest['alphas_cumprod'], NUMBER)
        and len(manifest['alphas_cumprod']) > 0,
        test_cfg=isinstance(manifest['test_cfg'], dict) and SETTINGS <= set(manifest['test_cfg']),
        weights_sha256=isinstance(manifest['weights_sha256'], str),
    )
    for name, is_right in fits.items():
        if not is_right:
            raise ExportError(
                f'{path}: {name} {str(manifest[name])[:60]} is not what export writes for {count} '
                f'keypoints; {AGAIN}'
            )


def _is_list(value: Any, kind: type | tuple[type, ...], length: int | None = None) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(item, kind) for item in value)
        and length in (None, len(value))
    )
