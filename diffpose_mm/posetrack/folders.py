"""The folders of frames of a download."""

from __future__ import annotations

import os
from pathlib import Path

from ..files import is_data
from ..images import decode_image


class FrameFolders:
    """What lies in the folders of frames: asked for once, kept."""

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._frames: dict[str, dict[str, int]] = {}
        self._sizes: dict[str, tuple[int, int] | None] = {}
        self.original: dict[str, str] = {}

    def frames(self, folder: str) -> dict[str, int]:
        """Name -> bytes of the pictures in a folder of the download, sorted by name."""
        if folder not in self._frames:
            found = {}
            if self.root is not None and (self.root / folder).is_dir():
                with os.scandir(self.root / folder) as entries:
                    found = {
                        e.name: e.stat().st_size
                        for e in entries
                        if is_data(e.name)
                        and e.is_file()  # no link to a file that is gone
                        and e.name.lower().endswith(('.jpg', '.jpeg', '.png'))
                    }
            self._frames[folder] = dict(sorted(found.items()))
        return self._frames[folder]

    def size(self, folder: str) -> tuple[int, int] | None:
        """Width and height of the folder's first readable picture, as training reads it.

        A picture with an EXIF orientation is turned when it is read.
        """
        if folder not in self._sizes:
            paths = (str(self.root / folder / name) for name in self.frames(folder))
            images = (decode_image(path) for path in paths)
            shape = next((i.shape for i in images if not isinstance(i, tuple)), None)
            self._sizes[folder] = shape and (shape[1], shape[0])
        return self._sizes[folder]

    def problem(self, image: dict) -> str | None:
        """Why a frame cannot be read, as far as its size on disk tells."""
        folder, name = os.path.split(self.original.get(image['file_name'], image['file_name']))
        length = self.frames(folder).get(name)
        return 'is missing' if length is None else None if length else 'is empty'
