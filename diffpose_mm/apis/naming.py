"""Names of outputs: each output has its own, and none is an input."""

import os
import os.path as osp
from collections import Counter
from collections.abc import Iterable, Sequence

MAX_NAME_BYTES = 220
"""Disks take 255, of which unfinished files need some."""

# What a last part of a path has to end in to be a file and not a folder.
_FILES = ('.mp4', '.m4v', '.mov', '.mkv', '.avi', '.webm', '.jpg', '.jpeg', '.png', '.bmp', '.tif',
          '.tiff', '.webp')  # fmt: skip


def unique_stems(names: Sequence[str]) -> list[str]:
    """What the outputs of several pictures are called, without extension.

    The file name without extension, where that is unique; among those that share it the file name
    (``shot.jpg``), then the folder before it (``cam1_0001.jpg``), then more folders, and where even
    that does not help the place in the input as well. Upper and lower case count as the same, as
    on the disks of macOS and Windows.

    Args:
        names: Paths, or names of arrays.
    """
    parts = [osp.normpath(name).replace(os.sep, '/').split('/') for name in names]
    stems = [osp.splitext(part[-1])[0] for part in parts]
    for depth in range(1, max(map(len, parts), default=0) + 1):
        again = _repeated(stems)
        if not again:
            return stems
        stems = [
            '_'.join(p for p in part[-depth:] if p) if stem.casefold() in again else stem
            for stem, part in zip(stems, parts)
        ]
    again = _repeated(stems)
    return [
        f'{index:06d}_{stem}' if stem.casefold() in again else stem
        for index, stem in enumerate(stems)
    ]


def _repeated(stems: Iterable[str]) -> set[str]:
    return {stem for stem, count in Counter(s.casefold() for s in stems).items() if count > 1}


def check_outputs(outputs: Iterable[str], inputs: Sequence[str]) -> None:
    """Raise if an output would be written over an input.

    Args:
        outputs: Files that will be written.
        inputs: Files that are read.

    Raises:
        ValueError: Names the file. Or a name is too long.
    """
    paths = {osp.realpath(path): path for path in inputs}
    files = {}
    for path in inputs:
        try:
            status = os.stat(path)
        except OSError:
            continue
        files[status.st_dev, status.st_ino] = path
    for output in outputs:
        if len(os.fsencode(osp.basename(output))) > MAX_NAME_BYTES:
            raise ValueError(
                f'the output {output} has a name of more than {MAX_NAME_BYTES} bytes, which leaves '
                'no room for the names of unfinished files: rename the input'
            )
        source = paths.get(osp.realpath(output))
        if source is None and osp.exists(output):
            status = os.stat(output)
            source = files.get((status.st_dev, status.st_ino))
        if source is not None:
            raise ValueError(
                f'the output {output} would be written over the input {source}: give another folder'
            )


def folder_of(path: str) -> str:
    """The folder of an output, which may also be given as a file."""
    return (osp.dirname(path) or '.') if is_file_name(path) else path


def is_file_name(path: str) -> bool:
    """Whether an output is given as a file: it ends as a video or picture, and is no folder."""
    return path.lower().endswith(_FILES) and not osp.isdir(path)
