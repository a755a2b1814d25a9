"""The JSON that inference writes, and the log of a run that was broken off, as a table and back."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from ..files import atomic_write, read_json
from ..keypoint_sets import KEYPOINT_SETS, keypoint_set
from .table import NO_TRACK, PoseTable, TableBuilder

FORMAT = 'diffpose_mm predictions 2'
COORDINATES = 'pixels of the image as shown, x to the right, y down'


def read_poses_json(path: str | os.PathLike, keypoints: str | None = None) -> PoseTable:
    """Read the JSON of a clip, or the ``.jsonl`` that an interrupted run has left.

    mmpose's own JSON of a video can be read too; it does not say what its keypoints are called.
    Its demo counts frames from 1, and so is the first frame of such a file taken for frame 0.
    A keypoint at (0, 0) with score 0 is missing, as docs/predictions.md says.

    Args:
        path: The file.
        keypoints: Name of the set that the poses are in, of a file that does not say it.

    Raises:
        ValueError: Names the file, the frame and the field that cannot be used.
        OSError: It cannot be read.
    """
    path = os.fspath(path)
    try:
        return table_of(_entries(path), keypoints)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        what = f'{error} is missing' if isinstance(error, KeyError) else error
        raise ValueError(f'{path}: {what}') from error


def table_of(entries: Iterator[dict], keypoints: str | None = None) -> PoseTable:
    """A table of frames as they are in a file; see :func:`read_poses_json`.

    Args:
        entries: The frames, the first one with ``meta`` and ``run``.
        keypoints: Name of the set that the poses are in, if ``meta`` is missing.

    Raises:
        ValueError, TypeError, KeyError: Name the frame and the field that cannot be used.
    """
    first = next(entries, None)
    if first is None:
        raise ValueError('holds no frame')
    meta = _meta(first, keypoints)
    builder = TableBuilder([str(name) for name in meta['keypoints']])
    gone = np.isin(builder.keypoints, meta.get('absent') or ())
    sizes: dict[int, tuple[int, int]] = {}
    faults: dict[int, str] = {}
    left_out: set[str] = set()
    for place, entry in enumerate(chain([first], entries)):
        number = _frame_number(entry, place)
        builder.add_frame(number, _number(entry.get('time'), f'time of frame {number}'))
        if entry.get('image_size') is not None:
            sizes[number] = _size(entry['image_size'], f'image_size of frame {number}')
        if entry.get('fault') is not None:
            faults[number] = str(entry['fault'])
        for index, person in enumerate(entry['instances']):
            try:
                _add_person(builder, person, gone)
            except (KeyError, TypeError, ValueError) as error:
                what = f'{error} is missing' if isinstance(error, KeyError) else error
                raise ValueError(f'frame {number}, person {index}: {what}') from error
            if 'hypotheses' in person:
                left_out.add('hypotheses')
            if 'filled' in person or 'keypoint_filled' in person:
                left_out.add('which joints were filled in by smoothing')
    run = first.get('run')
    found, smoothing = (
        run.get(name) if isinstance(run, dict) else None for name in ('input', 'smoothing')
    )
    size = meta.get('image_size')
    rate = _number(meta.get('fps'), 'meta.fps')
    return builder.table(
        skeleton=tuple((int(a), int(b)) for a, b in meta.get('skeleton') or ()),
        image_size=None if size is None else _size(size, 'meta.image_size'),
        frame_sizes=sizes,
        fps=rate if rate and rate > 0 else None,
        absent=tuple(meta.get('absent') or ()),
        faults=faults,
        input=found if isinstance(found, dict) else {},
        smoothing=smoothing if isinstance(smoothing, dict) else {},
        left_out=tuple(sorted(left_out)),
    )


def _entries(path: str) -> Iterator[dict]:
    """The frames of the file."""
    if path.endswith('.jsonl'):
        yield from _log_entries(path)
        return
    try:
        content = read_json(path)
    except ValueError as error:
        raise ValueError(
            f'is not JSON, or was cut short ({error}); a run that was interrupted leaves a .jsonl, '
            'which can be given'
        ) from error
    if isinstance(content, dict) and isinstance(content.get('instance_info'), list):
        content = _from_zero(content['instance_info'])
    if isinstance(content, list) and content and not isinstance(content[0], dict):
        content = None
    if not isinstance(content, list):
        raise ValueError('is not a list of frames, as infer writes for a video')
    if content and 'image_id' in content[0]:
        raise ValueError('holds COCO results: give --from coco-results')
    yield from content


def _from_zero(entries: list) -> list:
    """Frames of mmpose's demo counted from 0."""
    if not entries or not isinstance(entries[0], dict) or entries[0].get('frame_id') != 1:
        return entries
    return [
        {**entry, 'frame_id': entry['frame_id'] - 1}
        if isinstance(entry, dict) and isinstance(entry.get('frame_id'), int)
        else entry
        for entry in entries
    ]


def _log_entries(path: str) -> Iterator[dict]:
    """The lines of a log that are whole; a kill may have cut the last one short."""
    with open(path, encoding='utf-8-sig') as file:
        header: Any = None
        for number, line in enumerate(file, 1):
            if not line.endswith('\n'):
                return
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise ValueError(f'line {number} is not JSON ({error})') from error
            if header is None:
                if not isinstance(entry, dict) or 'meta' not in entry:
                    raise ValueError('the first line of a log has to hold run and meta')
                header = entry
            else:
                yield {**header, **entry} if number == 2 else entry


def _meta(entry: Any, keypoints: str | None) -> dict[str, Any]:
    meta = entry.get('meta') if isinstance(entry, dict) else None
    if not isinstance(meta, dict):
        if keypoints is None:
            raise ValueError(
                'it has no meta, so the names of its keypoints are not known: give the set that '
                f'they are, --keypoints {" or ".join(KEYPOINT_SETS)}'
            )
        chosen = keypoint_set(keypoints)
        return dict(keypoints=chosen.keypoints, skeleton=chosen.skeleton)
    if meta.get('format') != FORMAT:
        raise ValueError(
            f'its format is {meta.get("format")!r}, and this version reads {FORMAT!r}: make it '
            'anew with infer'
        )
    if not isinstance(meta.get('keypoints'), (list, tuple)) or not meta['keypoints']:
        raise ValueError('meta.keypoints is not a list of names')
    return meta


def _frame_number(entry: Any, place: int) -> int:
    if not isinstance(entry, dict) or not isinstance(entry.get('instances'), list):
        raise ValueError(f'entry {place} is no frame with a list of instances')
    number = entry.get('frame_id')
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f'entry {place} has frame_id {number!r}, not a number from 0')
    return number


def _number(value: Any, what: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f'{what} is {value!r}, not a number')
    return float(value)


def _size(value: Any, what: str) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in value)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{what} is {value!r}, not width and height') from error
    if min(width, height) <= 0:
        raise ValueError(f'{what} is {value!r}, not width and height above 0')
    return width, height


def _add_person(builder: TableBuilder, person: Any, gone: np.ndarray) -> None:
    joints = len(builder.keypoints)
    if not isinstance(person, dict):
        raise ValueError(f'is {person!r}, not an object')
    points = np.array(person['keypoints'], np.float64)
    if points.ndim != 2 or len(points) != joints or points.shape[1] < 2:
        raise ValueError(f'keypoints have the shape {points.shape}, not ({joints}, 2)')
    points = points[:, :2].copy()
    scores = np.array(person['keypoint_scores'], np.float64)
    if scores.shape != (joints,):
        raise ValueError(f'keypoint_scores have the shape {scores.shape}, not ({joints},)')
    missing = gone | ~np.isfinite(points).all(1) | ((points == 0).all(1) & (scores == 0))
    points[missing] = np.nan
    deviations = person.get('keypoint_std')
    if deviations is not None:
        deviations = np.array(deviations, np.float64).reshape(joints, 2)
        deviations[missing] = np.nan
    track = person.get('track_id')
    if track is not None and (isinstance(track, bool) or not isinstance(track, int) or track < 0):
        raise ValueError(f'track_id is {track!r}, not a number from 0')
    box = person.get('bbox')
    box_score = _number(person.get('bbox_score'), 'bbox_score')
    builder.add_pose(points, np.where(missing, np.nan, scores), track, deviations, box, box_score)


def write_poses_json(table: PoseTable, path: str | os.PathLike) -> None:
    """Write a table in the form of docs/predictions.md.

    Args:
        table: The poses.
        path: The file.

    Raises:
        OSError: It cannot be written.
    """
    lines = [json.dumps(entry, allow_nan=False) for entry in entries_of(table)]
    with atomic_write(path) as file:
        file.write('[\n' + ',\n'.join(lines) + '\n]\n')


def entries_of(table: PoseTable) -> list[dict[str, Any]]:
    """The frames as they are in a file."""
    meta: dict[str, Any] = dict(
        format=FORMAT, keypoints=table.keypoints, skeleton=[list(bone) for bone in table.skeleton]
    )
    if table.absent:
        meta['absent'] = list(table.absent)
    if table.image_size is not None:
        meta['image_size'] = list(table.image_size)
    meta.update(fps=table.fps, coordinates=COORDINATES)
    entries = []
    for place, (number, poses) in enumerate(table.by_frame()):
        entry: dict[str, Any] = dict(frame_id=number, time=table.time_of(number))
        if number in table.frame_sizes:
            entry['image_size'] = list(table.frame_sizes[number])
        if number in table.faults:
            entry['fault'] = table.faults[number]
        entry['instances'] = [_instance(table, pose) for pose in poses]
        if place == 0:
            run = dict(input=table.input, smoothing=table.smoothing)
            entry.update(meta=meta, run={name: value for name, value in run.items() if value})
        entries.append(entry)
    return entries


def _instance(table: PoseTable, pose: int) -> dict[str, Any]:
    person: dict[str, Any] = dict(
        keypoints=np.nan_to_num(table.points[pose]).tolist(),
        keypoint_scores=np.nan_to_num(table.scores[pose]).tolist(),
    )
    if np.isfinite(table.deviations[pose]).any():
        person['keypoint_std'] = np.nan_to_num(table.deviations[pose]).tolist()
    box = table.box_of(pose)
    if np.isfinite(box).all():
        person['bbox'] = [box.tolist()]
    if np.isfinite(table.box_scores[pose]):
        person['bbox_score'] = float(table.box_scores[pose])
    if table.track[pose] != NO_TRACK:
        person['track_id'] = int(table.track[pose])
    return person
