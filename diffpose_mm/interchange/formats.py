"""The table of formats: what each is called, holds, needs, and who writes and reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import (
    coco,
    cvat,
    deeplabcut,
    label_studio,
    long_table,
    mot,
    nwb,
    openpose,
    posetrack_folder,
    rerun_recording,
    sleap,
)
from .poses_json import read_poses_json, write_poses_json
from .requirements import check_installed
from .table import PoseTable

Reader = Callable[[str | os.PathLike, str | None], PoseTable]


@dataclass(frozen=True)
class PoseFormat:
    """A format that poses are written in.

    Attributes:
        name: How it is asked for.
        summary: What it is, and for which programs.
        endings: What is added to the name of the video, of each path that is written; one that
            ends in '/' is a folder.
        write: Takes a table, the paths, and the name of the video.
        holds: Which of :data:`~.losses.FEATURES` it keeps.
        sets: Names of the sets of keypoints that it knows; none if any will do. Poses in another
            one are written in the last.
        needs_size: Whether the size of the frames has to be known.
        needs_tracks: Whether everybody has a number in it, also those who have none.
        check: Raises ValueError if it cannot hold a table for a reason of its own.
        made_up: What it demands and poses do not have, in words; said whenever it is written.
        modules: Libraries that write it.
        packages: What to give to pip for them.
        read: Takes a path and the name of a set of keypoints or None; None if it cannot be read.
    """

    name: str
    summary: str
    endings: tuple[str, ...]
    write: Callable[[PoseTable, Sequence[Path], str], None]
    holds: frozenset[str]
    sets: tuple[str, ...] = ()
    needs_size: bool = False
    needs_tracks: bool = False
    check: Callable[[PoseTable], None] | None = None
    made_up: str = ''
    modules: tuple[str, ...] = ()
    packages: str = ''
    read: Reader | None = None

    def paths(self, folder: str | os.PathLike, stem: str) -> list[Path]:
        """What is written for a video of this name."""
        return [Path(folder, stem + ending.rstrip('/')) for ending in self.endings]

    def check_installed(self) -> None:
        """Raise unless its libraries are there.

        Raises:
            ModuleNotFoundError: With the command that installs them.
        """
        check_installed(self.modules, self.packages, f'format {self.name}')

    def fitted(self, table: PoseTable) -> PoseTable:
        """The poses in a set of keypoints that the format knows.

        Raises:
            ValueError: They have none of its keypoints.
        """
        if not self.sets or table.set_name in self.sets:
            return table
        try:
            return table.in_set(self.sets[-1])
        except ValueError as error:
            raise ValueError(f'format {self.name}: {error}') from error


def _file(write: Callable[[PoseTable, Path], None]) -> Callable:
    return lambda table, paths, stem: write(table, paths[0])


def _named(write: Callable[[PoseTable, Path, str], None]) -> Callable:
    return lambda table, paths, stem: write(table, paths[0], stem)


_LONG = 'keypoints tracks scores deviations boxes box_scores times'

POSE_FORMATS: dict[str, PoseFormat] = {
    made.name: made
    for made in (
        PoseFormat(
            'json',
            'what infer writes, see predictions.md',
            ('.json',),
            _file(write_poses_json),
            frozenset(f'{_LONG} frames sizes faults'.split()),
            read=read_poses_json,
        ),
        PoseFormat(
            'csv',
            'a row a joint, for data frames and spreadsheets',
            ('.csv',),
            _file(long_table.write_long_csv),
            frozenset(_LONG.split()),
            read=long_table.read_long,
        ),
        PoseFormat(
            'parquet',
            'the same, for pandas, polars, DuckDB and Spark',
            ('.parquet',),
            _file(long_table.write_parquet),
            frozenset(f'{_LONG} frames'.split()),
            modules=('pyarrow',),
            packages='pyarrow',
            read=long_table.read_long,
        ),
        PoseFormat(
            'coco',
            'results, and a data set to correct: pycocotools, mmpose, datumaro',
            ('_coco/',),
            _named(coco.write_coco),
            frozenset('keypoints tracks scores boxes frames times sizes'.split()),
            needs_size=True,
            read=coco.read_coco,
        ),
        PoseFormat(
            'posetrack',
            "PoseTrack's official folder: poseval, mmpose",
            ('_posetrack/',),
            _named(posetrack_folder.write_posetrack),
            frozenset('keypoints tracks scores boxes frames times sizes'.split()),
            needs_tracks=True,
            sets=posetrack_folder.SETS,
            read=coco.read_coco,
        ),
        PoseFormat(
            'openpose',
            'a JSON a frame: Pose2Sim, Sports2D, OpenSim',
            ('_openpose/',),
            _named(openpose.write_openpose),
            frozenset('keypoints tracks scores frames'.split()),
            sets=openpose.SETS,
        ),
        PoseFormat(
            'deeplabcut',
            'h5 and csv: DeepLabCut, movement, SimBA, VAME',
            ('_deeplabcut.csv', '_deeplabcut.h5'),
            lambda table, paths, stem: deeplabcut.write_deeplabcut(table, paths[0], paths[1]),
            frozenset('keypoints tracks scores frames'.split()),
            needs_tracks=True,
            modules=('pandas', 'tables'),
            packages='pandas tables',
            read=deeplabcut.read_deeplabcut,
        ),
        PoseFormat(
            'deeplabcut-csv',
            'the csv alone, without a library',
            ('_deeplabcut.csv',),
            _file(deeplabcut.write_deeplabcut_csv),
            frozenset('keypoints tracks scores frames'.split()),
            needs_tracks=True,
            read=deeplabcut.read_deeplabcut,
        ),
        PoseFormat(
            'slp',
            "SLEAP's project: SLEAP, sleap-io",
            ('.slp',),
            _named(sleap.write_slp),
            frozenset('keypoints tracks scores frames'.split()),
            modules=('sleap_io',),
            packages=sleap.PACKAGES,
        ),
        PoseFormat(
            'nwb',
            'Neurodata Without Borders with ndx-pose: pynwb, movement, DANDI',
            ('.nwb',),
            _named(nwb.write_nwb),
            frozenset('keypoints tracks scores frames times'.split()),
            needs_tracks=True,
            check=nwb.check_nwb,
            made_up=f'session_start_time is {nwb.START:%Y-%m-%d}: set it to when it was recorded',
            modules=('pynwb', 'ndx_pose'),
            packages=nwb.PACKAGES,
        ),
        PoseFormat(
            'rrd',
            "a recording for Rerun's viewer",
            ('.rrd',),
            _named(rerun_recording.write_rrd),
            frozenset('keypoints tracks scores deviations boxes frames times'.split()),
            needs_tracks=True,
            modules=('rerun',),
            packages=rerun_recording.PACKAGES,
        ),
        PoseFormat(
            'mot',
            'boxes of tracked people: TrackEval, motmetrics',
            ('_mot/',),
            _named(mot.write_mot),
            frozenset('tracks boxes frames'.split()),
            needs_tracks=True,
        ),
        PoseFormat(
            'label-studio',
            'tasks with poses to correct in Label Studio',
            ('_label_studio/',),
            _named(label_studio.write_label_studio),
            frozenset('keypoints tracks scores boxes frames times sizes'.split()),
            needs_size=True,
            read=label_studio.read_label_studio,
        ),
        PoseFormat(
            'cvat',
            'CVAT for video 1.1: skeletons to correct in CVAT',
            ('_cvat.xml',),
            _file(cvat.write_cvat),
            frozenset('keypoints tracks frames'.split()),
            needs_tracks=True,
            read=cvat.read_cvat,
        ),
    )
}
"""Format by name. A new one is a function that writes, and an entry here."""

READERS: dict[str, Reader] = {
    **{name: made.read for name, made in POSE_FORMATS.items() if made.read is not None},
    'coco-results': coco.read_coco_results,
}
"""Who reads a format, by name."""


def guess_format(path: str | os.PathLike) -> str:
    """The format that a path is read as unless somebody says it.

    Raises:
        ValueError: Its name does not tell.
    """
    try:
        return _guessed(Path(path))
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: is no text in UTF-8 ({error})') from error


def _guessed(path: Path) -> str:
    ending = path.suffix.lower()
    if path.is_dir():
        return 'label-studio' if (path / label_studio.FILES[0]).is_file() else 'coco'
    if ending == '.xml':
        return 'cvat'
    if ending in ('.h5', '.hdf5'):
        return 'deeplabcut'
    if ending == '.csv':
        with open(path, encoding='utf-8-sig') as file:
            return 'deeplabcut-csv' if file.readline().startswith('scorer') else 'csv'
    if ending == '.json':
        with open(path, encoding='utf-8-sig') as file:
            start = file.read(1000).lstrip()
        if re.match(r'\[\s*\{\s*"(id|data|annotations|predictions)"', start):
            return 'label-studio'
        is_set = start.startswith('{') and '"instance_info"' not in start
        return 'coco' if is_set and '"meta_info"' not in start else 'json'
    if ending in ('.jsonl', '.parquet'):
        return 'json' if ending == '.jsonl' else 'parquet'
    raise ValueError(
        f'{path}: its name does not say what it is: give --from {" or ".join(READERS)}'
    )
