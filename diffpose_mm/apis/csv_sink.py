"""Predictions as a table: a row a joint, for spreadsheets and data frames."""

import csv
import os
import os.path as osp
from contextlib import suppress
from typing import Any

from ..files import PART, writing
from ..interchange.long_table import JOINT_COLUMNS as COLUMNS
from .records import Result
from .sink import RunInfo, Sink


class CSVFiles(Sink):
    """A row for every joint of every person: of a clip one file, else one a picture.

    Pixels of the image; seconds; what is not known is an empty cell. ``person`` counts the people
    of a frame from 0. A file is there when it is complete.

    Args:
        folder: The folder to write to.
        info: The run.
    """

    def __init__(self, folder: str, info: RunInfo) -> None:
        self.keypoints = info.keypoints
        self._absent = frozenset(info.absent)
        self.is_clip = info.source.is_clip
        stems = [info.stem] if self.is_clip else info.stems
        self.files = [osp.join(folder, stem + '.csv') for stem in stems]
        self._part = self.files[0] + PART if self.files else ''
        self._file: Any = None

    def write(self, result: Result) -> None:
        """Add the rows of a frame."""
        if not self.is_clip:
            if result.frame.fault is None:
                path = self.files[result.frame.index]
                with writing(path), open(path, 'w', encoding='utf-8', newline='') as file:
                    self._rows(file, result, header=True)
            return
        with writing(self._part):
            header = self._file is None
            if header:
                self._file = open(self._part, 'w', encoding='utf-8', newline='')
            self._rows(self._file, result, header)

    def _rows(self, file: Any, result: Result, header: bool) -> None:
        writer = csv.writer(file, lineterminator='\n')
        if header:
            writer.writerow(COLUMNS)
        frame = result.frame
        time = '' if frame.time is None else frame.time
        for number, person in enumerate(result.instances()):
            stds = person.get('keypoint_std') or [('', '')] * len(self.keypoints)
            joints = zip(self.keypoints, person['keypoints'], person['keypoint_scores'], stds)
            first = frame.index, time, person.get('track_id', ''), number, person.get('bbox_score')
            writer.writerows(
                (*first, name, '', '', 0.0, '', '')
                if name in self._absent
                else (*first, name, *point, score, *std)
                for name, point, score, std in joints
            )

    def finish(self) -> None:
        """Give the file its name."""
        if self._file is not None:
            with writing(self.files[0]):
                self._file.close()
                os.replace(self._part, self.files[0])
                self._file = None

    def close(self) -> None:
        """Remove what is not complete."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
                os.remove(self._part)
