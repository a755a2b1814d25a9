"""The smoothed predictions of a run that has come to its end, beside the raw ones."""

import logging
import os.path as osp
from typing import Any

from mmengine.logging import print_log

from ..smoothing import RTS, OneEuro, smooth_file, smoothed_name
from .prediction_log import PredictionLog
from .progress import frame_progress
from .run import Run
from .sink import set_aside


def write_smoothed(
    poses: str, out: str, method: str, settings: RTS | OneEuro | None = None, **options: Any
) -> None:
    """Smooth a file of predictions, show how far it is, and say what was done.

    Args:
        poses: See :func:`smooth_file`.
        out: File to write.
        method, settings, **options: Likewise.

    Raises:
        ValueError: Names the file, and what of it cannot be used.
        OSError: A file cannot be read or written.
    """
    with frame_progress(f'smoothing {osp.basename(poses)}', None) as advance:
        done = smooth_file(poses, out, method, settings, advance=advance, **options)
    filled = done.get('filled_joints', 0)
    bridged = f'; {filled} joints filled in gaps' if filled else ''
    print_log(f'{out}: {method}, times {done["times"]}{bridged}', logger='current')


def check_smoothing(method: str | None, results: Run) -> None:
    """Raise ValueError where a run has nothing that could be smoothed."""
    if method is None:
        return
    if not results.source.is_clip:
        raise ValueError('--smooth needs a video: give --as-clip for the frames of one')
    if not poses_of(results):
        raise ValueError('--smooth needs the JSON of the poses: give --format json as well')


def poses_of(results: Run) -> str:
    """The JSON of a run on a video; '' where it writes none."""
    # Other formats write JSON as well.
    return next((sink.path for sink in results.sinks if isinstance(sink, PredictionLog)), '')


def set_aside_smoothed(results: Run) -> None:
    """Keep smoothed poses of an earlier run from standing beside the raw ones of this run."""
    path = smoothed_name(poses_of(results))
    if poses_of(results) and osp.isfile(path):
        set_aside(path, 'belongs to an earlier run')


def smooth_run(results: Run, method: str | None) -> list[str]:
    """Smooth what a run has written; the file, or nothing where there is none.

    The predictions are complete by then: what goes wrong here is said, and fails nothing.
    """
    poses = poses_of(results)
    if method is None or not osp.isfile(poses):
        return []
    out = smoothed_name(poses)
    try:
        write_smoothed(poses, out, method)
    except (OSError, ValueError) as error:
        print_log(f'no {out}: {error}', logger='current', level=logging.WARNING)
        return []
    return [out]
