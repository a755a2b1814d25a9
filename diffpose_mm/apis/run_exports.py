"""The poses of a run that has come to its end, in the formats of other tools."""

import logging
import os.path as osp
from collections.abc import Sequence

from mmengine.logging import print_log

from ..interchange import POSE_FORMATS, check_formats, outputs, read_poses_json, write_formats
from .formats import FORMATS
from .run import Run


def split_formats(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part ``--format`` into what is written frame by frame, and what is made of the JSON.

    Args:
        names: Of :data:`~.formats.FORMATS` or of ``POSE_FORMATS``.

    Returns:
        tuple: The former, with 'json' wherever there is one of the latter; and the latter.

    Raises:
        ValueError: There is no such format.
        ModuleNotFoundError: A library is missing; with the command that installs it.
    """
    later = [name for name in dict.fromkeys(names) if name not in FORMATS]
    for name in later:
        if name not in POSE_FORMATS:
            known = ', '.join({**FORMATS, **POSE_FORMATS})
            raise ValueError(f'format {name!r} has to be one of {known}')
    check_formats(later)
    first = [name for name in dict.fromkeys(names) if name in FORMATS]
    if later and 'json' not in first:
        first.append('json')
    return first, later


def check_exports(results: Run, names: Sequence[str], poses: str) -> list[str]:
    """What :func:`export_run` will write.

    Args:
        results: The run, at its start.
        names: Of ``POSE_FORMATS``.
        poses: The JSON that they will be made of.

    Raises:
        ValueError: The run is of pictures that are no clip.
    """
    if not names:
        return []
    if not results.source.is_clip:
        raise ValueError(
            f'--format {names[0]} is of a video: give --as-clip if the pictures are its frames'
        )
    folder, name = osp.split(poses)
    return [str(path) for path in outputs(names, folder, osp.splitext(name)[0])]


def export_run(poses: str, names: Sequence[str]) -> list[str]:
    """Write the poses of a run beside its predictions; the paths.

    The predictions are complete by then: what goes wrong here is said, and fails nothing.

    Args:
        poses: Their JSON, smoothed or as posed; formats are named after it.
        names: Of ``POSE_FORMATS``.
    """
    if not (names and osp.isfile(poses)):
        return []
    written: list[str] = []
    folder, name = osp.split(poses)
    table = read_poses_json(poses)
    for each in names:
        try:
            made = write_formats(table, [each], folder, osp.splitext(name)[0], _say)
            written += map(str, made)
        except (OSError, ValueError) as error:
            again = f'mim run diffpose_mm convert {poses} --to {each}'
            print_log(f'no {each}: {error}. {again}', logger='current', level=logging.WARNING)
    return written


def _say(message: str) -> None:
    print_log(message, logger='current')
