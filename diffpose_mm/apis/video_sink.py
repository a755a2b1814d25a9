"""The drawn video."""

import logging
import os
import os.path as osp
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from ..files import PART, writing
from ..video_writer import VideoWriter, video_path
from .naming import is_file_name
from .records import Result
from .sink import RunInfo, Sink

DEFAULT_FPS = 25.0
"""Frames a second of a drawn video whose input has no frame rate."""


class VideoFile(Sink):
    """The drawn frames as a video, with the times of the input.

    It has as many frames as the input: a damaged one shows the frame before it (black at the
    beginning), so that numbers stay those of the predictions. A resumed run draws anew, and takes
    the place of the video that is there when it is complete.

    Args:
        path: The folder to write to, or the file.
        info: The run.
    """

    def __init__(self, path: str, info: RunInfo) -> None:
        self.source = info.source
        name = path if is_file_name(path) else osp.join(path, self.source.name)
        self.files = [video_path(name)]
        self._resumes = info.resume
        self._path = self.files[0]  # that is written
        self._writer: Any = None
        self._keeps_times = False
        self._last: np.ndarray | None = None
        self._gaps: list[float | None] = []  # before the first picture

    def open(self) -> None:
        """Take frame rate and times from the source, which is open now."""
        source = self.source
        self._keeps_times = source.time_base is not None  # pictures have no times
        if self._resumes and osp.exists(self.files[0]):
            stem, suffix = osp.splitext(self.files[0])
            self._path = stem + PART + suffix
        self._writer = VideoWriter(
            self._path,
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
        if self._path != self.files[0] and osp.exists(self._path):
            with writing(self.files[0]):
                os.replace(self._path, self.files[0])
            self._path = self.files[0]
        if self._writer.frames:
            print_log(
                f'the output video has been saved at {self.files[0]}',
                logger='current',
                level=logging.INFO,
            )

    def close(self) -> None:
        """Complete the file with what there is."""
        if self._writer is not None:
            self._writer.close()
        if self._path != self.files[0]:
            Path(self._path).unlink(missing_ok=True)
