"""Names of frames and of the videos that they belong to.

A video is a folder, the whole path of it: in the layout of the MOT challenge the last part of
every one is ``img1``. A folder in which the names of numbered frames begin differently
(``walk_0001.jpg``, ``run_0001.jpg``) holds several videos.
"""

import os.path as osp
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable

_NUMBERED = re.compile(r'(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.[^.]*)?')
_MOT_FRAMES = 'img1'


def split_frame_name(path: str) -> tuple[str, int, int, str]:
    """Take a numbered frame's path apart.

    Args:
        path (str): A frame, for example ``images/val/012834_mpii_test/000007.jpg``.

    Returns:
        tuple: What stands before the number, the number, how many digits it is written with, and
        the extension, so that ``f'{head}{number:0{digits}d}{extension}'`` is the path again.

    Raises:
        ValueError: The file name does not end in a number.
    """
    folder, name = osp.split(path)
    match = _NUMBERED.fullmatch(name)
    if match is None:
        raise ValueError(
            f'file_name "{path}" does not end in a frame number; the neighbours of a frame are '
            'found by number, so frames have to be named like 000007.jpg'
        )
    digits = match['number']
    return osp.join(folder, match['prefix']), int(digits), len(digits), match['suffix'] or ''


def forward_slashes(path: str) -> str:
    """The path as every system reads it, also where it was written on Windows."""
    return path.replace('\\', '/')


def video_of(path: str) -> str:
    """The video of a frame: its whole folder.

    Args:
        path: A frame's path or ``file_name``.

    Returns:
        The folder with forward slashes, '' for a frame without one. :func:`videos_of` tells
        videos apart also where several of them lie in one folder.
    """
    return posixpath.dirname(forward_slashes(path))


def videos_of(paths: Iterable[str]) -> list[str]:
    """The video of every frame of a data set.

    Args:
        paths: The frames' paths.

    Returns:
        For each, in the same order, its folder; where the names of the folder's numbered frames
        begin differently, the folder and the beginning.
    """
    paths = [forward_slashes(path) for path in paths]
    folders = [posixpath.dirname(path) for path in paths]
    heads, heads_of = [], defaultdict(set)
    for path, folder in zip(paths, folders):
        name = posixpath.basename(path)
        match = _NUMBERED.fullmatch(name)
        prefix = match['prefix'] if match else ''
        # The separator before the number is no part of the video's name.
        beginning = prefix.rstrip('_-. ') or prefix
        heads.append(posixpath.join(folder, beginning) if beginning else folder)
        heads_of[folder].add(heads[-1])
    return [folder if len(heads_of[folder]) == 1 else head for folder, head in zip(folders, heads)]


def video_names(videos: Iterable[str]) -> dict[str, str]:
    """Short names that tell videos apart, for files that are named after them.

    Args:
        videos: Results of :func:`videos_of`.

    Returns:
        By video, in sorted order: its last folder, without ``img1`` or another last folder that
        several videos share with all others; with as many of the folders before it as it takes to
        tell all of them apart, joined by ``__``. The name of a video without a folder is ''.
    """
    parts = {video: [part for part in video.split('/') if part] for video in sorted(set(videos))}
    rows = list(parts.values())
    while len(rows) > 1 and all(len(row) > 1 for row in rows) and len({r[-1] for r in rows}) == 1:
        for row in rows:
            row.pop()
    for row in rows:
        if len(row) > 1 and row[-1] == _MOT_FRAMES:
            row.pop()
    for depth in range(1, max(map(len, rows), default=0) + 1):
        names = {video: '__'.join(row[-depth:]) for video, row in parts.items()}
        if len(set(names.values())) == len(names):
            return names
    return {video: video.replace('/', '__') for video in parts}
