"""A long table, a row a joint, as csv or Parquet: for data frames and databases."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import PART, atomic_write, writing
from ..keypoint_sets import KEYPOINT_SETS, find_keypoint_set
from .requirements import needed
from .table import NO_TRACK, PoseTable, TableBuilder

JOINT_COLUMNS = (
    'frame_id',
    'time',
    'track_id',
    'person',
    'bbox_score',
    'keypoint',
    'x',
    'y',
    'score',
    'std_x',
    'std_y',
)
"""Those of ``infer --format csv``."""
COLUMNS = (*JOINT_COLUMNS, 'bbox_x1', 'bbox_y1', 'bbox_x2', 'bbox_y2')
"""The box beside. Image pixels; seconds; empty where not known."""
_WHOLE = ('frame_id', 'track_id', 'person')


def rows_of(table: PoseTable) -> Iterator[tuple]:
    """The rows, with None for what is not known; ``person`` counts those of a frame from 0."""
    gone = ~table.present
    joints = np.concatenate([table.points, table.scores[..., None], table.deviations], axis=2)
    joints[gone] = np.nan
    values, boxes, box_scores = map(_or_none, (joints, table.boxes, table.box_scores))
    tracks = [None if track == NO_TRACK else track for track in table.track.tolist()]
    for number, poses in table.by_frame():
        time = table.time_of(number)
        for person, pose in enumerate(poses.tolist()):
            first = number, time, tracks[pose], person, box_scores[pose]
            for name, found in zip(table.keypoints, values[pose]):
                yield (*first, name, *found, *boxes[pose])


def _or_none(values: np.ndarray) -> list:
    """As lists, with None for NaN."""
    found = values.astype(object)
    found[~np.isfinite(values)] = None
    return found.tolist()


def write_long_csv(table: PoseTable, path: Path) -> None:
    """Write the csv.

    Raises:
        OSError: It cannot be written.
    """
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(COLUMNS)
        writer.writerows(
            ['' if value is None else value for value in row] for row in rows_of(table)
        )


def write_parquet(table: PoseTable, path: Path) -> None:
    """Write Parquet; what all rows share is JSON in the metadata of the file.

    Raises:
        ModuleNotFoundError: pyarrow is missing.
        OSError: It cannot be written.
    """
    arrow, parquet = needed('pyarrow', 'pyarrow.parquet', packages='pyarrow', what='Parquet')
    columns = list(zip(*rows_of(table))) or [()] * len(COLUMNS)
    kinds = {name: arrow.float64() for name in COLUMNS}
    kinds.update(dict.fromkeys(_WHOLE, arrow.int64()), keypoint=arrow.string())
    shared = dict(
        keypoints=list(table.keypoints),
        skeleton=[list(bone) for bone in table.skeleton],
        absent=list(table.absent),
        image_size=table.image_size,
        fps=table.fps,
        frames=[[number, table.time_of(number)] for number in table.frames.tolist()],
        input=table.input,
    )
    data = arrow.table(
        [arrow.array(column, kinds[name]) for name, column in zip(COLUMNS, columns)],
        schema=arrow.schema(
            [(name, kinds[name]) for name in COLUMNS],
            metadata={'diffpose_mm': json.dumps(shared)},
        ),
    )
    part = path.with_name(path.name + PART)
    try:
        with writing(path):
            parquet.write_table(data, part)
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_long(path: str | os.PathLike, keypoints: str | None = None) -> PoseTable:
    """Read a csv or Parquet file of these columns, also that of ``infer --format csv``.

    Args:
        path: The file; frame_id, keypoint, x and y have to be there, others may be missing.
        keypoints: Name of a set that gives the order of the joints, and bones. Default: the order
            of the file.

    Raises:
        ValueError: Names the file, the row and the column.
        ModuleNotFoundError: pyarrow is missing for Parquet.
        OSError: It cannot be read.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == '.parquet':
            rows, shared = _parquet_rows(path)
        else:
            rows, shared = _csv_rows(path), {}
        return _table(rows, shared, keypoints)
    except (ValueError, TypeError, KeyError) as error:
        what = f'{error} is missing' if isinstance(error, KeyError) else error
        raise ValueError(f'{path}: {what}') from error


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    with open(path, encoding='utf-8-sig', newline='') as file:
        reader = csv.DictReader(file)
        _check_columns(reader.fieldnames or ())
        rows = []
        for number, row in enumerate(reader, 2):
            if None in row or None in row.values():
                raise ValueError(f'line {number} does not have as many cells as the header')
            rows.append(
                {k: _cell(k, v, number) for k, v in row.items() if k in COLUMNS and v != ''}
            )
    return rows


def _cell(name: str, text: str, line: int) -> Any:
    if name == 'keypoint':
        return text
    try:
        number = float(text)
    except ValueError as error:
        raise ValueError(f'line {line}: {name} is {text!r}, not a number') from error
    return int(number) if name in _WHOLE else number


def _parquet_rows(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    (parquet,) = needed('pyarrow.parquet', packages='pyarrow', what='Parquet')
    data = parquet.read_table(path)
    _check_columns(data.column_names)
    shared = json.loads((data.schema.metadata or {}).get(b'diffpose_mm', b'{}'))
    rows = [
        {k: v for k, v in row.items() if k in COLUMNS and v is not None} for row in data.to_pylist()
    ]
    return rows, shared


def _check_columns(names: Sequence[str]) -> None:
    lacking = [name for name in ('frame_id', 'keypoint', 'x', 'y') if name not in names]
    if lacking:
        raise ValueError(f'has no column {", ".join(lacking)}; its columns are {", ".join(names)}')


def _table(rows: list[dict], shared: dict[str, Any], keypoints: str | None) -> PoseTable:
    chosen = KEYPOINT_SETS.get(keypoints or '')
    names = (
        shared.get('keypoints')
        or (chosen and chosen.keypoints)
        or list(dict.fromkeys(row['keypoint'] for row in rows))
    )
    if not names:
        raise ValueError('holds no rows, so the names of its keypoints are not known')
    place = {name: i for i, name in enumerate(names)}
    chosen = chosen or find_keypoint_set(names)
    builder = TableBuilder(names)
    listed = [(int(number), time) for number, time in shared.get('frames') or ()]
    frames: dict[int, dict[tuple, list[dict]]] = {}
    times: dict[int, float | None] = {}
    for row in rows:  # in whatever order somebody has sorted them
        person = row.get('person'), row.get('track_id')
        frames.setdefault(row['frame_id'], {}).setdefault(person, []).append(row)
        times.setdefault(row['frame_id'], row.get('time'))
    for number, time in listed or sorted(times.items()):
        builder.add_frame(number, time)
        for (_, track), group in frames.pop(number, {}).items():
            _add_person(builder, group, place, track)
    if frames:
        raise ValueError(f'has rows of frame {min(frames)}, which is not among its frames')
    bones = () if chosen is None else chosen.skeleton
    size = shared.get('image_size')
    return builder.table(
        skeleton=tuple((a, b) for a, b in shared.get('skeleton') or bones),
        absent=tuple(shared.get('absent') or builder.never_there()),
        image_size=(int(size[0]), int(size[1])) if size else None,
        fps=shared.get('fps'),
        input=shared.get('input') or {},
    )


def _add_person(
    builder: TableBuilder, rows: list[dict], place: dict[str, int], track: int | None
) -> None:
    values = np.full((len(place), 5), np.nan)
    seen = set()
    for row in rows:
        name = row['keypoint']
        if name not in place or name in seen:
            why = 'twice for one person' if name in seen else 'which is none of the set'
            raise ValueError(f'frame {row["frame_id"]} has the keypoint {name!r} {why}')
        seen.add(name)
        found = (row.get(column, np.nan) for column in ('x', 'y', 'score', 'std_x', 'std_y'))
        values[place[name]] = (*found,)
    missing = ~np.isfinite(values[:, :2]).all(1)
    values[missing] = np.nan
    first = rows[0]
    box = [first.get(f'bbox_{edge}') for edge in ('x1', 'y1', 'x2', 'y2')]
    builder.add_pose(
        values[:, :2],
        values[:, 2],
        track,
        values[:, 3:],
        None if None in box else box,
        first.get('bbox_score'),
    )
