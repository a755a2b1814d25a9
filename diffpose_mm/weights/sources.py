"""Where weights are: a path, an address, a name of the hub, turned into files on this machine."""

import hashlib
import json
import os
import urllib.error
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .downloading import download_file
from .errors import UnavailableWeightsError, WeightsError
from .hub import INDEX, WEIGHT_ENDINGS, fetch, parse, weights_among
from .zoo import digits_in, zoo_file

CONFIG = 'config.json'


@dataclass(frozen=True)
class Found:
    """Weights on this machine.

    Attributes:
        path: The file, or the index of its shards.
        config: The ``config.json`` beside it, {} without one.
        origin: Where it came from, for people.
        notes: What had to be chosen on the way, a sentence each.
    """

    path: Path
    config: dict[str, Any]
    origin: str
    notes: tuple[str, ...] = ()


def split_expert(source: str) -> tuple[str, str | None]:
    """A source and the expert that may follow it, as ``hf:usyd-community/vitpose-plus-base#ap10k``.

    A file whose own name has a ``#`` is taken as it is.
    """
    base, sign, expert = source.rpartition('#')
    if not sign or os.path.exists(os.path.expanduser(source)):
        return source, None
    return base, expert


def find(source: str) -> Found:
    """Find weights, and get them if they are not on this machine.

    Args:
        source: A file or folder; ``hf:OWNER/NAME[/FILE][@REVISION]``; ``https://`` or ``http://``.

    Raises:
        UnavailableWeightsError: They are elsewhere and cannot be had.
        WeightsError: They are not there, or a folder holds several.
    """
    name = parse(source)
    if name is not None:
        if not name.file:
            _refuse_before_download(source)
        folder = fetch(name)
        path = folder / name.file.rpartition('/')[2] if name.file else folder
        return _on_disk(path, f'{name}')
    if source.startswith(('https://', 'http://')):
        return _from_address(source)
    if '://' in source:
        raise WeightsError(
            f'{source} is of no known kind; give a file, a folder, hf:OWNER/NAME or https://'
        )
    return _on_disk(Path(os.path.expanduser(source)), source)


def _on_disk(path: Path, origin: str) -> Found:
    notes: list[str] = []
    if path.is_dir():
        path, note = _only_weights(path)
        notes += note
    elif not path.is_file():
        hint = ''
        if zoo_file(str(path)):
            hint = f'; MMPose has it at {zoo_file(str(path)).address}'  # type: ignore[union-attr]
        elif path.suffix not in WEIGHT_ENDINGS and str(path).count('/') == 1:
            hint = f'; if a model of the hub is meant, write hf:{path}'
        raise WeightsError(f'{path} does not exist; check the path{hint}')
    return Found(path, _config_beside(path), origin, tuple(notes))


def _only_weights(folder: Path) -> tuple[Path, list[str]]:
    """The one model in a folder, or the index of its shards."""
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith('.'))
    indices = [name for name in names if name.endswith(INDEX)]
    weights = weights_among(names)
    safe = any(name.endswith('.safetensors') for name in weights)
    indices = [name for name in indices if ('.safetensors.' in name) == safe or not weights]
    if len(indices) == 1 and weights != ['model.safetensors']:
        return folder / indices[0], []
    if not weights:
        raise WeightsError(f'{folder} holds no weights ({", ".join(WEIGHT_ENDINGS)})')
    if len(weights) > 1:
        some = ', '.join(weights[:5]) + (', ...' if len(weights) > 5 else '')
        raise WeightsError(
            f'{folder} holds {len(weights)} files of weights ({some}); give the path of the one '
            'that is meant'
        )
    others = [name for name in names if name.endswith(WEIGHT_ENDINGS) and name not in weights]
    notes = [f'{weights[0]} is taken, {", ".join(others)} beside it not'] if others else []
    return folder / weights[0], notes


def _config_beside(path: Path) -> dict[str, Any]:
    file = path.parent / CONFIG
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise WeightsError(f'{file} cannot be read as JSON: {error}; download it again') from error
    return config if isinstance(config, dict) else {}


def _refuse_before_download(source: str) -> None:
    """Raise for what ``config.json`` shows to be no ViTPose, before gigabytes are downloaded."""
    from .families import check_config

    try:
        folder = fetch(source, only=(CONFIG,))
    except UnavailableWeightsError:
        return  # the download itself says what is wrong
    check_config(_config_beside(folder / CONFIG), source)


def _from_address(address: str) -> Found:
    """Download to where mmengine and torch keep theirs, or the second place of a zoo file."""
    name = address.partition('?')[0].rpartition('/')[2]
    target = Path(torch.hub.get_dir(), 'checkpoints', name)
    digits = digits_in(name)
    if target.is_file():
        if digits is None or sha256(target).startswith(digits):
            return _on_disk(target, f'{address} (in {target.parent})')
        notes = f'{target} is not what its name says, and was downloaded again'
    else:
        notes = ''
    try:
        download_file(address, target, digits)
    except (OSError, RuntimeError, ValueError) as error:
        return _second_place(address, _why(error), target, error)
    found = _on_disk(target, address)
    return Found(found.path, found.config, found.origin, (notes,) if notes else ())


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f'the server answered {error.code} {error.reason}'
    return str(getattr(error, 'reason', '') or error).strip().splitlines()[0]


def _second_place(address: str, reason: str, target: Path, cause: Exception) -> Found:
    place = f'get it elsewhere and put it at {target}, or give its path'
    file = zoo_file(address)
    if file is None or file.hub is None:
        kin = (
            f'; {file.kin} is the same network, trained on six data sets'
            if file and file.kin
            else ''
        )
        raise UnavailableWeightsError(
            f'{address} could not be downloaded ({reason}): {place}{kin}'
        ) from cause
    try:
        found = find(file.hub)
    except WeightsError as error:
        raise UnavailableWeightsError(
            f'{address} could not be downloaded ({reason}), nor its second '
            f'place: {error}. Or {place}'
        ) from error
    note = f'{address} could not be downloaded ({reason}): {file.hub}, the same network, is taken'
    return Found(found.path, found.config, found.origin, (note, *found.notes))


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
