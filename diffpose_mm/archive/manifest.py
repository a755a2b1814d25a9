"""What is to be done: the videos of a folder, a list or a manifest, each with its options."""

import csv
import json
import math
import os
import os.path as osp
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from ..files import is_data
from ..identity import value_identity
from .requirements import needed

COLUMNS = ('path', 'boxes', 'camera', 'start', 'end', 'options')
VIDEOS = ('.mp4', '.m4v', '.mov', '.mkv', '.avi', '.webm', '.mpg', '.mpeg', '.mts', '.m2ts', '.ts',
          '.wmv', '.flv', '.3gp', '.ogv', '.mxf')  # fmt: skip
OPTIONS: dict[str, type | tuple[type, ...]] = dict(
    mode=str,
    streaming=bool,
    sampling_steps=int,
    num_hypotheses=int,
    bbox_thr=(int, float),
    nms_thr=(int, float),
    max_people=int,
    use_oks_tracking=bool,
    tracking_thr=(int, float),
)
"""What a manifest may set for one video, fields of :class:`InferenceOptions`."""
ADVICE = 'is an address: mount the storage and give the path there, or copy to a disk'


@dataclass(frozen=True)
class Entry:
    """One video to be posed.

    Attributes:
        path: The file.
        name: What it is called in the output: its path in the folder that was given, or as the list
            has it.
        boxes: JSON file of boxes, or ''. No detector runs then.
        camera: Goes into the output as it is, or ''.
        start, end: Seconds; frames with start <= time < end are posed, and what is before and after
            is not looked at.
        options: In place of those of the run.
    """

    path: str
    name: str
    boxes: str = ''
    camera: str = ''
    start: float = 0.0
    end: float = math.inf
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its name in the output: letters of the file's name, and a digest of all above."""
        words = re.sub(r'[^A-Za-z0-9]+', '_', osp.splitext(osp.basename(self.name))[0]).strip('_')
        end = None if math.isinf(self.end) else self.end
        told = [self.name, self.boxes, self.start, end, dict(self.options)]
        return f'{words[:60] or "video"}-{value_identity(told)[:10]}'

    @property
    def trimmed(self) -> bool:
        """Whether only a part of the video is asked for."""
        return self.start > 0 or self.end < math.inf


def is_address(path: str) -> bool:
    """Whether it is something like s3://bucket/name, and no path."""
    return re.match(r'[a-z][a-z0-9+.-]+://', path, re.IGNORECASE) is not None


def read_entries(inputs: Sequence[str], patterns: Sequence[str] = ()) -> list[Entry]:
    """The videos that a user names, each once, in order.

    Args:
        inputs: Video files, folders (with all below them), manifests (.csv, .parquet) and lists
            (.txt, a path a line). Paths in a manifest or list are relative to its folder.
        patterns: Of a folder, take names or paths in it that match one of these, as ``*.mp4``.
            Defaults to files that end as videos do.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: Names the file, line and column; or there is nothing, or something twice.
    """
    entries: list[Entry] = []
    for item in inputs:
        if is_address(item):
            raise ValueError(f'{item} {ADVICE}')
        if osp.isdir(item):
            entries += _of_folder(item, patterns)
        elif not osp.exists(item):
            raise FileNotFoundError(f'input {item} does not exist (in {os.getcwd()})')
        elif item.lower().endswith(('.csv', '.parquet')):
            entries += _of_manifest(item)
        elif item.lower().endswith('.txt'):
            entries += _of_list(item)
        else:
            entries.append(Entry(osp.abspath(item), osp.basename(item)))
    if not entries:
        raise ValueError(f'{", ".join(inputs)}: there is no video in it')
    seen: dict[str, Entry] = {}
    for entry in entries:
        if entry.key in seen:
            raise ValueError(
                f'{entry.path} and {seen[entry.key].path} are both called {entry.name} with the '
                'same options: name each video once, or give the folder above them'
            )
        seen[entry.key] = entry
    return entries


def _of_folder(folder: str, patterns: Sequence[str]) -> Iterable[Entry]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if is_data(name))
        for name in sorted(filter(is_data, names)):
            path = osp.join(place, name)
            inside = osp.relpath(path, folder).replace(os.sep, '/')
            if patterns:
                chosen = any(fnmatch(name, p) or fnmatch(inside, p) for p in patterns)
            else:
                chosen = name.lower().endswith(VIDEOS)
            if chosen:
                yield Entry(osp.abspath(path), inside)


def _of_list(path: str) -> Iterable[Entry]:
    with open(path, encoding='utf-8-sig') as file:
        for line in map(str.strip, file):
            if line and not line.startswith('#'):
                yield _entry(path, dict(path=line))


def _of_manifest(path: str) -> Iterable[Entry]:
    rows: Iterable[dict]
    if path.lower().endswith('.csv'):
        with open(path, encoding='utf-8-sig', newline='') as file:
            reader = csv.DictReader(file)
            columns, rows = list(reader.fieldnames or ()), list(reader)
    else:
        (parquet,) = needed('pyarrow.parquet')
        table = parquet.read_table(path)
        columns, rows = table.column_names, table.to_pylist()
    unknown = [name for name in columns if name not in COLUMNS]
    if 'path' not in columns or unknown:
        wrong = f'has the column {unknown[0]}' if unknown else 'has no column path'
        raise ValueError(f'manifest {path} {wrong}: its columns may be {", ".join(COLUMNS)}')
    for number, row in enumerate(rows, 2 if path.lower().endswith('.csv') else 0):
        where = f'{path}, {"line" if path.lower().endswith(".csv") else "row"} {number}'
        if None in row:
            raise ValueError(f'{where} has more cells than the header')
        yield _entry(where, {k: v for k, v in row.items() if v not in (None, '')}, path)


def _entry(where: str, row: dict, manifest: str = '') -> Entry:
    if 'path' not in row:
        raise ValueError(f'{where}: path is empty')
    folder = osp.dirname(osp.abspath(manifest or where))
    path, boxes = str(row['path']), str(row.get('boxes', ''))
    for file in filter(is_address, (path, boxes)):
        raise ValueError(f'{where}: {file} {ADVICE}')
    seconds = {}
    for name, default in (('start', 0.0), ('end', math.inf)):
        try:
            seconds[name] = float(row.get(name, default))
        except ValueError:
            seconds[name] = math.nan
        if not seconds[name] >= 0:
            raise ValueError(f'{where}: {name}={row[name]!r} has to be seconds from 0 on')
    if not seconds['start'] < seconds['end']:
        raise ValueError(f'{where}: start={seconds["start"]} is not before end={seconds["end"]}')
    return Entry(
        path=osp.normpath(osp.join(folder, path)),
        name=path.replace(os.sep, '/'),
        boxes=osp.normpath(osp.join(folder, boxes)) if boxes else '',
        camera=str(row.get('camera', '')),
        options=_options(where, row.get('options', '{}')),
        **seconds,
    )


def _options(where: str, text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(
            f'{where}: options={text!r} has to be a JSON object, as {{"mode": "causal"}}'
        )
    for name, value in found.items():
        if name not in OPTIONS:
            raise ValueError(f'{where}: option {name!r} has to be one of {", ".join(OPTIONS)}')
        kind = OPTIONS[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f'{where}: option {name}={value!r} is of the wrong kind')
    return found
