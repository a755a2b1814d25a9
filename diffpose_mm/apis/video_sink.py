"""The drawn video."""

import os.path as osp
from typing import Any

import numpy as np

from ..video_writer import VideoWriter, video_path
from .naming import is_file_name
from .records import Result
from .sink import RunInfo, Sink

DEFAULT_FPS = 25.0
"""Frames a second of a drawn video whose input has no frame rate."""


class VideoFile(Sink):
    """The drawn frames as a video, with the times of the input.

    It has as many frames as the input: a damaged one shows the frame before it (black at the
    beginning), so that numbers stay those of the predictions.

    Args:
        path: The folder to write to, or the file.
        info: The run.
    """

    def __init__(self, path: str, info: RunInfo) -> None:
        self.source = info.source
        name = path if is_file_name(path) else osp.join(path, self.source.name)
        self.files = [video_path(name)]
        self._writer: Any = None
        self._keeps_times = False
        self._last: np.ndarray | None = None
        self._gaps: list[float | None] = []  # before the first picture

    def open(self) -> None:
        """Take frame rate and times from the source, which is open now."""
        source = self.source
        self._keeps_times = source.time_base is not None  # pictures have no times
        self._writer = VideoWriter(
            self.files[0],
            source.fps or DEFAULT_FPS,
            source.time_base if self._keeps_times else None,
            source.pixel_aspect_ratio,
        )

    def write(self, result: Result) -> None:
        """Add a frame."""
        time = result.frame.time if self._keeps_times else None
        if result.picture is not None:
            self._last = np.ascontiguousarray(result.picture[..., ::-1])
            for earlier in self._gaps:
                self._writer.write(np.zeros_like(self._last), earlier)
            self._gaps = []
            self._writer.write(self._last, time)
        elif self._last is None:
            self._gaps.append(time)
        else:
            self._writer.write(self._last, time)

    def finish(self) -> None:
        """Complete the file."""
        self._writer.close()

    def close(self) -> None:
        """Complete the file with what there is."""
        if self._writer is not None:
            self._writer.close()
