"""Frames of a video file or of a folder of pictures, by OpenCV."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import cv2

from .windows import Frame

ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
INDEXED = ('.mp4', '.m4v', '.mov')
"""Containers that list their frames; what others announce is about duration times rate."""
MAX_FAILED = 100
"""Reads in a row that may fail beyond the frames that are announced."""
_DIGITS = re.compile(r'(\d+)')


def natural_order(name: str) -> list[int | str]:
    """Sort key of file names in which ``2.jpg`` comes before ``10.jpg``."""
    return [int(part) if part.isdecimal() else part for part in _DIGITS.split(name)]


def read_frames(path: str | Path) -> tuple[Iterator[Frame], float | None]:
    """The frames of an input, numbered from 0, and its frame rate.

    A picture that cannot be read keeps its number, with the reason as ``fault``, and so does a
    damaged frame of a video where its times leave room for it. Files whose names begin with a dot
    are no frames. A video that ends before what it announces is warned of.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It cannot be opened as a video, or the folder holds no pictures.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    if path.is_dir():
        files = [
            file
            for file in path.iterdir()
            if file.suffix.lower() in ENDINGS and not file.name.startswith('.') and file.is_file()
        ]
        if not files:
            raise ValueError(f'{path} holds no pictures ({", ".join(ENDINGS)})')
        return _pictures(sorted(files, key=lambda file: natural_order(file.name))), None
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
    rate, announced = video.get(cv2.CAP_PROP_FPS), int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    number = gaps = 0
    failed = 0  # reads since the last frame that came
    lost = 0  # frames that have not come, and whose place is not known
    last = -1 / rate if rate else -1.0  # seconds
    try:
        # A read fails at the end and at a damaged frame, which ends nothing; what a container
        # announces may be too little.
        while number + failed < announced or failed < MAX_FAILED:
            there, image = video.read()
            if not there:
                failed += 1
                continue
            lost, failed = lost + failed, 0
            time: float | None = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if time is not None and time > last:
                # A decoder gives frames from before the damage after the failed read.
                room = max(round((time - last) * rate) - 1, 0) if rate else lost
            else:  # no clock, or one that begins anew
                room, time = lost, last + (lost + 1) / rate if rate else None
            missing = min(lost, room)
            for place in range(1, missing + 1):
                at = None if time is None else last + (time - last) * place / (missing + 1)
                yield Frame(number, _name(number), None, at, 'damaged (cannot be decoded)')
                number += 1
            lost, gaps = lost - missing, gaps + missing
            last = last if time is None else time
            yield Frame(number, _name(number), image, time)
            number += 1
    finally:
        video.release()
    if not number:
        raise ValueError(f'{path}: no frame could be read')
    reached = max(number, round(last * rate) + 1) if rate else number
    _warn_of_damage(path, number, gaps, announced, announced - reached)


def _name(number: int) -> str:
    return f'{number:06d}.jpg'


def _warn_of_damage(path: Path, number: int, gaps: int, announced: int, short: int) -> None:
    """Warn of gaps, and of a video that ends ``short`` frames early."""
    logger = logging.getLogger(__name__)
    if gaps:
        logger.warning(
            '%s: %d of %d frames are damaged and are gaps in the results', path, gaps, number
        )
    tolerated = 0 if path.suffix.lower() in INDEXED else 2.5 + 0.02 * announced
    if short > tolerated:
        logger.warning(
            '%s ends after %d of the %d frames that it announces: it is cut short, trimmed or '
            'damaged; what was readable is used',
            path,
            number,
            announced,
        )
