"""The fields of COCO-style files of videos, checked before anything is made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..videos import forward_slashes

# Expected type of each optional field; fields in _NUMBERS are fixed-length lists.
_IMAGE = dict(
    id='integer',
    file_name='text',
    video='text',
    nframes='count',
    frame_range='range',
    width='size',
    height='size',
)
_ANNOTATION = dict(
    id='integer',
    image_id='integer',
    track_id='integer',
    category_id='number',
    iscrowd='number',
    num_keypoints='number',
    area='number',
)
_NUMBERS = ('keypoints', 'bbox', 'bbox_head', 'occluded', 'blurred')
_LARGEST = 2**53


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) < _LARGEST and math.isfinite(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


_KINDS = {
    'integer': _is_integer,
    'count': lambda value: _is_integer(value) and 0 < value < _LARGEST,
    'number': _is_number,
    'size': lambda value: _is_number(value) and value > 0,
    'text': lambda value: isinstance(value, str) and '\0' not in value,
    'range': lambda value: (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(map(_is_integer, value))
        and value[0] <= value[1]
    ),
}


_INTEGERS = {
    name: tuple(field for field, kind in kinds.items() if kind in ('integer', 'count'))
    for name, kinds in (('images', _IMAGE), ('annotations', _ANNOTATION))
}


def repair_records(content: Any) -> None:
    """Bring to one form, in place, what programs write differently and means the same.

    Whole numbers written as 7.0 become integers (pandas does so where a column has gaps), and
    backslashes in ``file_name`` (of Windows) become slashes. What is wrong stays, for
    :func:`check_records`.

    Args:
        content: with the lists ``images`` and ``annotations``, and ``categories``.
    """
    for name, fields in (*_INTEGERS.items(), ('categories', ('id',))):
        records = content.get(name)
        for record in records if isinstance(records, list) else ():
            if not isinstance(record, dict):
                continue
            for field in fields:
                if isinstance(record.get(field), float):
                    record[field] = whole_number(record[field])
            if isinstance(record.get('file_name'), str):
                record['file_name'] = forward_slashes(record['file_name'])


def whole_number(value: Any) -> Any:
    """The integer that a float such as 7.0 stands for; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check_records(where: str, content: dict, num_keypoints: int, needed: Sequence[str]) -> None:
    """Check images and annotations, field by field.

    Args:
        where: the file, for messages.
        content: with the lists ``images``, whose records have an ``id`` and ``file_name``, and
            ``annotations``.
        num_keypoints: K; ``keypoints`` has 3 K numbers, flags have K.
        needed: the fields that an annotation cannot do without.

    Raises:
        ValueError: a field is missing or of the wrong kind; the message names file, record, field
            and value.
    """
    for name, kinds, required in (
        ('images', _IMAGE, ('id', 'file_name')),
        ('annotations', _ANNOTATION, needed),
    ):
        for index, record in enumerate(content.get(name) or ()):
            if not isinstance(record, dict):
                raise ValueError(f'{where}: {name}[{index}] is {_short(record)}, not an object')
            for field in required:
                if field not in record:
                    raise ValueError(
                        f"{where}: {_named(name, index, record)} lacks '{field}'; "
                        'this is not an annotation file of the COCO style'
                    )
            for field, kind in kinds.items():
                value = record.get(field)
                if field in required or value is not None:
                    if not _KINDS[kind](value):
                        raise ValueError(
                            f'{where}: {_named(name, index, record)}: {field} is '
                            f'{_short(value)}, not a valid {kind}'
                        )
    annotations = content.get('annotations') or ()
    for field in _NUMBERS:
        length = {'keypoints': 3 * num_keypoints, 'bbox': 4, 'bbox_head': 4}.get(
            field, num_keypoints
        )
        _check_numbers(where, annotations, field, length)


def _check_numbers(where: str, annotations: Sequence[dict], field: str, length: int) -> None:
    """All rows at once, for there are thousands; row by row only to name the wrong one."""
    rows = [row for a in annotations if (row := a.get(field)) is not None and row != []]
    try:
        flat = [value for row in rows for value in row]
        sound = (
            all(isinstance(row, list) and len(row) == length for row in rows)
            and {*map(type, flat)} <= {int, float, bool}
            and bool((np.abs(np.array(flat, dtype=np.float64)) < _LARGEST).all())
        )
    except (TypeError, OverflowError):
        sound = False
    if sound:
        return
    for index, annotation in enumerate(annotations):
        row = annotation.get(field)
        if row is None or row == []:
            continue
        name = _named('annotations', index, annotation)
        if not isinstance(row, list):
            raise ValueError(f"{where}: {name}: '{field}' is {_short(row)}, not a list of numbers")
        if len(row) != length:
            expected = f'3 x {length // 3} (so many keypoints)' if field == 'keypoints' else length
            raise ValueError(f"{where}: {name} has {len(row)} values in '{field}', not {expected}")
        for value in row:
            if not _is_number(value):
                raise ValueError(
                    f"{where}: {name}: '{field}' holds {_short(value)}, not a number "
                    'that is a coordinate or a flag'
                )


def _named(name: str, index: int, record: dict) -> str:
    return f'{name[:-1]} {record["id"]}' if _is_integer(record.get('id')) else f'{name}[{index}]'


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
