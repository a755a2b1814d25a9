"""Poses in one format written in others: all is checked, and losses are said, before writing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from ..files import prepare_folder
from .formats import POSE_FORMATS, READERS, guess_format
from .losses import losses
from .table import PoseTable


def read_poses(
    path: str | os.PathLike,
    source: str | None = None,
    keypoints: str | None = None,
    fps: float | None = None,
    image_size: tuple[int, int] | None = None,
) -> PoseTable:
    """Read poses of a video in any format that can be read.

    Args:
        path: File or folder.
        source: Name of the format. Default: what the name of the file says.
        keypoints: Name of the set that the poses are in, of a file that does not say it.
        fps: Frames a second, of a file that does not say it; gives times where there are none.
        image_size: Width and height, of a file that does not say it.

    Raises:
        ValueError: Names the file, and what cannot be used.
        ModuleNotFoundError: A library is missing; with the command that installs it.
        OSError: It cannot be read.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f'{os.fspath(path)} does not exist')
    source = source or guess_format(path)
    if source not in READERS:
        raise ValueError(f'--from {source!r} has to be one of {", ".join(READERS)}')
    table = READERS[source](path, keypoints)
    if fps is not None and table.fps is None:
        table = replace(table, fps=fps)
        if not table.has_times:
            table = replace(table, times=table.frames / fps)
    if image_size is not None and table.image_size is None:
        table = replace(table, image_size=image_size)
    return table


def check_formats(names: Sequence[str]) -> None:
    """Raise unless these are formats whose libraries are there.

    Raises:
        ValueError: There is no such format.
        ModuleNotFoundError: A library is missing; with the command that installs it.
    """
    for name in names:
        if name not in POSE_FORMATS:
            raise ValueError(f'format {name!r} has to be one of {", ".join(POSE_FORMATS)}')
        POSE_FORMATS[name].check_installed()


def outputs(names: Sequence[str], folder: str | os.PathLike, stem: str) -> list[Path]:
    """What :func:`write_formats` writes; folders as such."""
    return [path for name in names for path in POSE_FORMATS[name].paths(folder, stem)]


def write_formats(
    table: PoseTable,
    names: Sequence[str],
    folder: str | os.PathLike,
    stem: str,
    say: Callable[[str], None] = print,
    stage: Callable[[str], AbstractContextManager] = nullcontext,
) -> list[Path]:
    """Write poses in formats.

    Args:
        table: The poses.
        names: Of :data:`~.formats.POSE_FORMATS`.
        folder: Where to.
        stem: Name of the video, without ending.
        say: Takes what is lost or made up, before anything is written.
        stage: Gives what is entered while a format is written, from its name.

    Returns:
        The files and folders written.

    Raises:
        ValueError: A format cannot hold these poses, or is not known.
        ModuleNotFoundError: A library is missing; with the command that installs it.
        OSError: A file cannot be written.
    """
    check_formats(names)
    for name in names:
        chosen = POSE_FORMATS[name]
        lost = losses(table, chosen)
        if chosen.needs_size and any(table.size_of(n) is None for n in table.frames.tolist()):
            raise ValueError(
                f'format {name} needs the size of the frames, which the poses do not say: give '
                '--image-size WIDTH HEIGHT'
            )
        if chosen.check is not None:
            chosen.check(table)
        if lost:
            say(f'{name} does not hold: {"; ".join(lost)}')
        if chosen.made_up:
            say(f'{name}: {chosen.made_up}')
        if chosen.needs_tracks and not table.is_tracked:
            say(
                f'{name}: people without a number get one by their place in the frame, which does '
                'not hold over time'
            )
    prepare_folder(os.fspath(folder))
    written = []
    for name in names:
        chosen = POSE_FORMATS[name]
        paths = chosen.paths(folder, stem)
        with stage(f'writing {name}'):
            chosen.write(chosen.fitted(table), paths, stem)
        written += paths
    return written
