"""From a file of predictions, and their video, to the page."""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..files import atomic_write
from .embedded_video import EmbeddedVideo, embed_video
from .page import build_page, poses_bytes, shell_bytes
from .predictions import Predictions, read_predictions

MAX_MEGABYTES = 40.0
"""Size of a page that is not told otherwise: opens in seconds, also on a phone."""


@dataclass
class Report:
    """A page, not yet written.

    Attributes:
        page: The HTML file.
        predictions: What it shows.
        video: The picture in it, or None.
    """

    page: bytes
    predictions: Predictions
    video: EmbeddedVideo | None

    def write(self, path: str | os.PathLike) -> None:
        """Write the page, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        with atomic_write(path, 'wb', 'The predictions are kept') as file:
            file.write(self.page)

    def summary(self) -> str:
        """What the page holds, in a line."""
        count, size = len(self.predictions), len(self.page) / 1e6
        if self.video is None:
            picture = 'without the video'
        elif self.video.is_copy:
            width, height = self.video.size
            picture = (
                f'with a copy of the video, {width}x{height}, {len(self.video.data) / 1e6:.1f} MB'
            )
        else:
            picture = f'with the video itself, {len(self.video.data) / 1e6:.1f} MB'
        return f'{count} frames, {len(self.predictions.tracks)} poses, {picture}; {size:.1f} MB'


def make_report(
    path: str | os.PathLike,
    video: str | os.PathLike | None = None,
    max_megabytes: float = MAX_MEGABYTES,
    keypoints: str | None = None,
    live: Mapping[str, Any] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Report:
    """Make the page of a file of predictions.

    Args:
        path: The JSON of a clip, or the ``.jsonl`` of an interrupted run.
        video: The video that they are of. Defaults to none: poses on an empty picture.
        max_megabytes: The page has at most so many million bytes. The poses come first, the video
            has what is left.
        keypoints: Name of the set that the poses are in, of a file that does not say it.
        live: See :func:`build_page`.
        advance: Called after each frame that is encoded.

    Raises:
        ValueError: Names what cannot be used, or what does not fit.
        OSError: A file cannot be read.
    """
    if not max_megabytes > 0:
        raise ValueError(f'max_megabytes={max_megabytes} has to be positive')
    predictions, max_bytes = read_predictions(path, keypoints), int(max_megabytes * 1e6)
    picture = None
    if video is not None:
        fixed = poses_bytes(predictions) + shell_bytes() + 16 * len(predictions)
        # A video is a third larger as text.
        left = (max_bytes - fixed) * 3 // 4
        if left <= 0:
            raise ValueError(
                f'{len(predictions.tracks)} poses take {fixed / 1e6:.1f} MB of the '
                f'{max_megabytes:g} MB that the page may have: give a larger --max-size, or leave '
                'the video out'
            )
        picture = embed_video(video, predictions, left, advance)
    title = predictions.input.get('name') or osp.basename(os.fspath(video or path))
    page = build_page(predictions, picture, max_bytes, str(title), live)
    return Report(page, predictions, picture)
