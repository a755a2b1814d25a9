"""Files of predictions, read whole, and the smoothed ones beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from ..files import atomic_write, read_json
from .one_euro import OneEuro
from .rts import RTS
from .smoothed import MAX_GAP, smooth_predictions


def smoothed_name(path: str) -> str:
    """Where the smoothed predictions of a file are: ``walk.json`` -> ``walk_smooth.json``."""
    return os.path.splitext(path)[0] + '_smooth.json'


def smooth_file(
    path: str,
    out: str,
    method: str = 'rts',
    settings: RTS | OneEuro | None = None,
    max_gap: int = MAX_GAP,
    fps: float | None = None,
    min_score: float = 0.0,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Smooth a file of predictions; nothing is written unless all of it can be.

    Args:
        path: JSON of a video as ``infer`` or mmpose writes it, or the ``.jsonl`` of an interrupted
            run.
        out: File to write, in the form of what was read (a list of frames for a ``.jsonl``).
        method, settings, max_gap, fps, min_score: See :func:`smooth_predictions`.
        advance: Called after each frame of each track ('rts'), or after each frame ('one-euro').

    Returns:
        What the first frame says of it (``run.smoothing``).

    Raises:
        ValueError: Names the file, and the frame, person or field that cannot be used.
        OSError: A file cannot be read or written.
    """
    predictions = read_file(path)
    try:
        done = smooth_predictions(predictions, method, settings, max_gap, fps, min_score, advance)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    entries = done['instance_info'] if isinstance(done, Mapping) else done
    with atomic_write(out) as file:
        if isinstance(done, Mapping):
            json.dump(done, file)
        else:
            file.write('[\n  ' + ',\n  '.join(map(json.dumps, entries)) + '\n]\n')
    return entries[0]['run']['smoothing']


def read_file(path: str) -> Any:
    """Predictions as they are in a file.

    Raises:
        ValueError: It is neither JSON nor the log of a run.
        OSError: It cannot be read.
    """
    if not os.path.isfile(path):
        what = 'is a folder' if os.path.isdir(path) else 'is not there'
        raise FileNotFoundError(f'{path} {what}: give the JSON of a video, or the .jsonl of a run')
    if path.endswith('.jsonl'):
        return _read_log(path)
    try:
        return read_json(path)
    except ValueError as error:
        raise ValueError(
            f'{path} is not JSON, or was cut short ({error}); a run that was interrupted leaves a '
            '.jsonl, which can be given'
        ) from error


def _read_log(path: str) -> list[dict]:
    with open(path, encoding='utf-8') as file:
        lines = file.readlines()
    if lines and not lines[-1].endswith('\n'):
        lines.pop()  # what a kill has cut short
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(json.loads(line))
        except ValueError as error:
            raise ValueError(f'{path}: line {number} is not JSON ({error})') from error
    if not entries or not isinstance(entries[0], dict) or 'meta' not in entries[0]:
        raise ValueError(f'{path}: the first line of a log has to hold run and meta')
    header, *frames = entries
    if not frames:
        raise ValueError(f'{path} has no frames')
    return [{**header, **frames[0]}, *frames[1:]]
