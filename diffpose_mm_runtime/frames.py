"""Frames of a video file or of a folder of pictures, by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2

from .windows import Frame

ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


def read_frames(path: str | Path) -> tuple[Iterator[Frame], float | None]:
    """The frames of an input, numbered from 0, and its frame rate.

    A picture that cannot be read keeps its number, with the reason as ``fault``.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It cannot be opened as a video, or the folder holds no pictures.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS)
        if not files:
            raise ValueError(f'{path} holds no pictures ({", ".join(ENDINGS)})')
        return _pictures(files), None
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise ValueError(f'{path} cannot be opened as a video')
    return _shots(video, path), video.get(cv2.CAP_PROP_FPS) or None


def _pictures(files: list[Path]) -> Iterator[Frame]:
    for number, file in enumerate(files):
        image = cv2.imread(str(file))
        fault = None if image is not None else f'{file} cannot be decoded'
        yield Frame(number, str(file), image, None, fault)


def _shots(video: cv2.VideoCapture, path: Path) -> Iterator[Frame]:
    number, rate = 0, video.get(cv2.CAP_PROP_FPS)
    try:
        while True:
            there, image = video.read()
            if not there:
                break
            yield Frame(number, f'{number:06d}.jpg', image, number / rate if rate else None)
            number += 1
    finally:
        video.release()
    if not number:
        raise ValueError(f'{path}: no frame could be read')
