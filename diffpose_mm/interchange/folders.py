"""Folders that a format fills: what an earlier, longer export has left in them goes first."""

import json
from pathlib import Path
from typing import Any

from ..files import atomic_write, prepare_folder, writing


def fresh_folder(path: Path, pattern: str) -> None:
    """Make a folder, and remove from it the files that are about to be written anew.

    A video that is shorter than the one before would otherwise end with the frames of that.

    Args:
        path: The folder.
        pattern: Of the names that the format writes, as for ``Path.glob``. Others stay.

    Raises:
        OSError: It cannot be written to.
    """
    prepare_folder(str(path))
    for file in path.glob(pattern):
        with writing(file):
            file.unlink()


def write_json(path: Path, content: Any) -> None:
    """Write JSON that every reader takes: without NaN.

    Raises:
        OSError: It cannot be written.
    """
    text = json.dumps(content, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text + '\n')
