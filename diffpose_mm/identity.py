"""What a result depends on, told by content: a name may stand for another file tomorrow."""

import hashlib
import json
import os
from collections.abc import Iterable
from typing import Any

WHOLE_BYTES = 1 << 30
"""Files up to this size are read whole; of larger ones, ``SAMPLES`` blocks spread evenly."""

SAMPLES = 64
_BLOCK = 1 << 20


def file_identity(path: str | os.PathLike) -> dict:
    """Size and digest of a file; of one too large to be read whole, also when it was changed.

    Returns:
        dict: ``bytes``, ``digest`` (16 hexadecimal digits), for a large file ``modified`` (ns).

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.blake2b(digest_size=8)
    with open(path, 'rb') as file:
        status = os.fstat(file.fileno())
        size = status.st_size
        if size <= WHOLE_BYTES:
            while block := file.read(_BLOCK):
                digest.update(block)
            return dict(bytes=size, digest=digest.hexdigest())
        for i in range(SAMPLES):
            file.seek((size - _BLOCK) * i // (SAMPLES - 1))
            digest.update(file.read(_BLOCK))
    return dict(bytes=size, digest=digest.hexdigest(), modified=status.st_mtime_ns)


def files_identity(paths: Iterable[str | os.PathLike]) -> dict:
    """One identity of several files in their order; names play no part.

    Returns:
        dict: ``files`` (their number), ``bytes``, ``digest``.
    """
    digest, count, size = hashlib.blake2b(digest_size=8), 0, 0
    for path in paths:
        try:
            identity = file_identity(path)
        except OSError as error:
            identity = dict(bytes=0, digest=f'unreadable: {error.strerror}')
        count, size = count + 1, size + identity['bytes']
        digest.update(json.dumps(identity, sort_keys=True).encode())
    return dict(files=count, bytes=size, digest=digest.hexdigest())


def value_identity(value: Any) -> str:
    """Digest of a value that JSON can hold; of anything else in it, what ``repr`` says counts."""
    text = json.dumps(value, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def config_identity(config: Any, fields: Iterable[str] = ()) -> str:
    """Digest of a config's values, wherever it lies and whatever it is called.

    Args:
        config: A ``Config`` or dict.
        fields: The top-level fields that count. Defaults to all.
    """
    chosen = [name for name in (fields or config) if name in config]
    return value_identity({name: _plain(config[name]) for name in chosen})


def differences(before: dict, now: dict, prefix: str = '') -> list[str]:
    """What differs between two identities, as 'mode: 'offline' then, 'causal' now'."""
    found = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f'{prefix}{key}.')
        elif old != new:
            found.append(f'{prefix}{key}: {old!r} then, {new!r} now')
    return found


def _plain(value: Any) -> Any:
    if hasattr(value, 'items'):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
