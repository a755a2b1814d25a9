"""DeepLabCut's tables: a row a frame, columns scorer, individual, body part, coordinate."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..files import PART, atomic_write, writing
from ..keypoint_sets import KEYPOINT_SETS, find_keypoint_set
from .requirements import needed
from .table import PoseTable, TableBuilder

SCORER = 'diffpose_mm'
LEVELS = ('scorer', 'individuals', 'bodyparts', 'coords')
COORDS = ('x', 'y', 'likelihood')


def dense(table: PoseTable) -> tuple[list[str], np.ndarray]:
    """Names of the people, and all frames from 0 on.

    Args:
        table: The poses.

    Returns:
        tuple: N names, and (F, N, K, 3) x, y in image pixels, and score; NaN where missing.
    """
    table = table.with_all_tracks()
    tracks = table.tracks
    values = np.full((table.num_frames, len(tracks), len(table.keypoints), 3), np.nan)
    people = np.searchsorted(tracks, table.track)
    values[table.frame, people, :, :2] = table.points
    values[table.frame, people, :, 2] = np.where(table.present, table.scores, np.nan)
    return [f'track_{track}' for track in tracks.tolist()], values


def columns_of(people: Sequence[str], keypoints: Sequence[str]) -> list[tuple[str, ...]]:
    """The columns, coordinates innermost, as DeepLabCut has them."""
    return [
        (SCORER, name, joint, axis) for name in people for joint in keypoints for axis in COORDS
    ]


def write_deeplabcut_csv(table: PoseTable, path: Path) -> None:
    """Write the csv: four header rows, then a row for every frame from 0 to the last.

    Empty cells where a person or a keypoint is missing.

    Raises:
        OSError: It cannot be written.
    """
    people, values = dense(table)
    columns = columns_of(people, table.keypoints)
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator='\n')
        for level, name in enumerate(LEVELS):
            writer.writerow([name, *(column[level] for column in columns)])
        for number, row in enumerate(values.reshape(len(values), -1).tolist()):
            writer.writerow([number, *('' if np.isnan(value) else value for value in row)])


def write_deeplabcut(table: PoseTable, csv_path: Path, h5_path: Path) -> None:
    """Write the csv, and the same as h5 by pandas and PyTables.

    Raises:
        OSError: It cannot be written.
    """
    pandas = needed('pandas', 'tables', packages='pandas tables', what='an h5 of DeepLabCut')[0]
    people, values = dense(table)
    columns = pandas.MultiIndex.from_tuples(columns_of(people, table.keypoints), names=LEVELS)
    frame = pandas.DataFrame(values.reshape(len(values), -1), columns=columns)
    part = h5_path.with_name(h5_path.name + PART)
    try:
        with writing(h5_path):
            # What pandas 3 writes as 'table', pandas 2 cannot read.
            frame.to_hdf(part, key='df_with_missing', mode='w', format='fixed')
            os.replace(part, h5_path)
    finally:
        part.unlink(missing_ok=True)
    write_deeplabcut_csv(table, csv_path)


def read_deeplabcut(path: str | os.PathLike, keypoints: str | None = None) -> PoseTable:
    """Read a csv or h5 of DeepLabCut: of one animal or several, predictions or labels.

    Rows are frames; in labelled data, whose rows are pictures, the frame is the number in the
    picture's name. Missing is NaN, and -1 as DeepLabCut 3 pads people.

    Args:
        path: The file.
        keypoints: Names a set whose bones the table gets; body parts are named by the file.

    Raises:
        ValueError: Names the file, and what is wrong.
        ModuleNotFoundError: An h5 needs pandas and PyTables; with the command.
        OSError: It cannot be read.
    """
    path = Path(path)
    try:
        if path.suffix.lower() in ('.h5', '.hdf5'):
            index, columns, values = _h5(path)
        else:
            index, columns, values = _csv(path)
        return _table(index, columns, values, keypoints)
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(f'{path}: {error}') from error


def _h5(path: Path) -> tuple[list, list[dict[str, str]], np.ndarray]:
    pandas = needed('pandas', 'tables', packages='pandas tables', what='an h5 of DeepLabCut')[0]
    frame = pandas.read_hdf(path)
    levels = list(frame.columns.names)
    columns = [dict(zip(levels, map(str, column))) for column in frame.columns]
    return frame.index.tolist(), columns, frame.to_numpy(np.float64)


def _csv(path: Path) -> tuple[list, list[dict[str, str]], np.ndarray]:
    with open(path, encoding='utf-8-sig', newline='') as file:
        rows = [row for row in csv.reader(file) if row]
    count = next((i for i, row in enumerate(rows) if row[0] == 'coords'), None)
    if count is None or count > 3:
        raise ValueError('has no header row "coords" among the first four: no file of DeepLabCut')
    header, body = rows[: count + 1], rows[count + 1 :]
    # Labelled data may have two or three columns of the picture's path; their headers are empty.
    skipped = 1 + sum(not name for name in header[-1][1:3])
    columns = [{row[0]: row[place] for row in header} for place in range(skipped, len(header[-1]))]
    for number, row in enumerate(body, count + 2):
        if len(row) != len(header[-1]):
            raise ValueError(f'line {number} has {len(row)} cells, not {len(header[-1])}')
    values = [[float(cell) if cell else np.nan for cell in row[skipped:]] for row in body]
    index = [row[skipped - 1] for row in body]
    return index, columns, np.array(values, np.float64).reshape(len(body), len(columns))


def _frame_of(label: object) -> int:
    text = str(label[-1] if isinstance(label, tuple) else label)
    digits = ''.join(c if c.isdigit() else ' ' for c in os.path.basename(text)).split()
    if not digits:
        raise ValueError(f'row {text!r} has no number of a frame')
    return int(digits[-1]) if not text.replace('.', '').isdigit() else int(float(text))


def _table(
    index: list, columns: list[dict[str, str]], values: np.ndarray, keypoints: str | None
) -> PoseTable:
    for field in ('bodyparts', 'coords'):
        if columns and field not in columns[0]:
            raise ValueError(f'has no column level {field!r}: no file of DeepLabCut')
    joints = list(dict.fromkeys(column['bodyparts'] for column in columns))
    people = list(dict.fromkeys(column.get('individuals', '') for column in columns))
    wanted = set(COORDS)
    cube = np.full((len(index), len(people), len(joints), 3), np.nan)
    cube[..., 2] = 1.0 if not any(c['coords'] == 'likelihood' for c in columns) else np.nan
    for place, column in enumerate(columns):
        if column['coords'] not in wanted:
            continue
        where = people.index(column.get('individuals', '')), joints.index(column['bodyparts'])
        cube[:, where[0], where[1], COORDS.index(column['coords'])] = values[:, place]
    points, scores = cube[..., :2], cube[..., 2]
    points[(points < 0).all(-1) & (scores <= 0)] = np.nan  # padding of DeepLabCut 3
    points[np.isnan(points).any(-1)] = np.nan
    frames = [_frame_of(label) for label in index]
    builder = TableBuilder(joints)
    numbers = _tracks_of(people)
    for row in np.argsort(frames, kind='stable'):
        builder.add_frame(frames[row])
        for person, track in enumerate(numbers):
            there = np.isfinite(points[row, person]).all(-1)
            if there.any():
                own = np.where(there, scores[row, person], np.nan)
                builder.add_pose(points[row, person], own, track)
    chosen = KEYPOINT_SETS.get(keypoints or '') or find_keypoint_set(joints)
    places = {name: i for i, name in enumerate(joints)}
    bones = () if chosen is None else chosen.bones
    return builder.table(
        skeleton=tuple((places[a], places[b]) for a, b in bones if a in places and b in places)
    )


def _tracks_of(people: Sequence[str]) -> list[int]:
    """Numbers of the people: those in names as ``track_3``, else their places."""
    digits = [name.removeprefix('track_') for name in people]
    if all(name.isdigit() for name in digits) and len({int(n) for n in digits}) == len(digits):
        return [int(name) for name in digits]
    return list(range(len(people)))
