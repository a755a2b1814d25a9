"""What a checkpoint says about itself, as the strings that a file of safetensors holds."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

# JSON has no arrays of a type, no tuples and no keys but strings.
ARRAY, PAIRS, TUPLE = '__array__', '__pairs__', '__tuple__'


def encode_metadata(meta: Mapping[str, Any]) -> dict[str, str]:
    """Names and texts: what is no text, or would be read as something else, is written as JSON.

    Args:
        meta: Numbers, texts, None, arrays, and lists, tuples and dicts of them.

    Raises:
        TypeError: There is something else among them.
    """
    return {
        str(key): value
        if isinstance(value, str) and not _is_json(value)
        else json.dumps(_plain(value))
        for key, value in meta.items()
    }


def decode_metadata(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`encode_metadata` was given, from what a reader of JSON made of its texts."""
    return {key: _rich(value) for key, value in meta.items()}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {ARRAY: value.tolist(), 'dtype': str(value.dtype)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return {TUPLE: [_plain(item) for item in value]}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: _plain(item) for key, item in value.items()}
        return {PAIRS: [[_plain(key), _plain(item)] for key, item in value.items()]}
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f'metadata cannot hold {type(value).__name__}')


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return [_rich(item) for item in value]
    if not isinstance(value, dict):
        return value
    if ARRAY in value:
        return np.array(value[ARRAY], dtype=value['dtype'])
    if TUPLE in value:
        return tuple(_rich(item) for item in value[TUPLE])
    if PAIRS in value:
        return {_rich(key): _rich(item) for key, item in value[PAIRS]}
    return {key: _rich(item) for key, item in value.items()}
