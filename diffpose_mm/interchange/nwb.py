"""Neurodata Without Borders, written by pynwb and ndx-pose."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from ..files import PART, writing
from .deeplabcut import dense
from .requirements import needed
from .table import PoseTable

PACKAGES = 'pynwb ndx-pose'
START = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""Start of the session, which NWB demands and nobody has told."""


def frame_times(table: PoseTable) -> np.ndarray:
    """(F,) seconds of all frames from 0 to the last, rising.

    Frames that are not in the table, and those without a time, get one by their number: between
    the times of their neighbours, beyond the ends at ``fps``.

    Args:
        table: The poses.

    Raises:
        ValueError: There are neither enough times nor a rate.
    """
    numbers = np.arange(table.num_frames)
    known = np.isfinite(table.times)
    at, times = table.frames[known], table.times[known]
    if len(at) == len(numbers):
        return times
    rate = table.fps
    if rate is None and len(at) > 1:
        rate = (at[-1] - at[0]) / (times[-1] - times[0])
    if rate is None:
        raise ValueError('format nwb needs times, which the poses do not say: give --fps')
    if not len(at):
        return numbers / rate
    found = np.interp(numbers, at, times)
    before, after = numbers < at[0], numbers > at[-1]
    found[before] = times[0] - (at[0] - numbers[before]) / rate
    found[after] = times[-1] + (numbers[after] - at[-1]) / rate
    return found


def check_nwb(table: PoseTable) -> None:
    """Raise ValueError unless all frames can have a time."""
    frame_times(table)


def write_nwb(table: PoseTable, path: Path, stem: str) -> None:
    """Write a file with one ``PoseEstimation`` a person, in the processing module ``behavior``.

    Every frame from 0 to the last is a row, NaN where the person is missing: readers that do not
    look at the times would close gaps otherwise. Times of an even rate are a rate, as readers
    expect, others are time stamps.

    Args:
        table: The poses.
        path: The file.
        stem: Name of the video.

    Raises:
        ModuleNotFoundError: A library is missing.
        OSError: It cannot be written.
    """
    pynwb, ndx_pose = needed('pynwb', 'ndx_pose', packages=PACKAGES, what='NWB')
    table = table.with_all_tracks()
    people, values = dense(table)
    name = str(table.input.get('name', stem))
    file = pynwb.NWBFile(
        session_description=f'poses of {name}; when it was recorded is not known',
        identifier=str(table.input.get('digest', name)),
        session_start_time=START,
    )
    module = file.create_processing_module('behavior', 'poses of people')
    skeleton = ndx_pose.Skeleton(
        name='person',
        nodes=list(table.keypoints),
        edges=np.array(table.skeleton, np.uint8).reshape(-1, 2),
    )
    module.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    times = _times(table)
    size = {} if table.image_size is None else {'dimensions': _dimensions(table)}
    for place, person in enumerate(people):
        series = [
            ndx_pose.PoseEstimationSeries(
                name=joint,
                description=f'{joint} of {person}',
                data=values[:, place, index, :2],
                confidence=values[:, place, index, 2],
                confidence_definition='score of the keypoint, 0 to 1',
                unit='pixels',
                reference_frame='(0, 0) is the first pixel of the image, x right, y down',
                **times,
            )
            for index, joint in enumerate(table.keypoints)
        ]
        module.add(
            ndx_pose.PoseEstimation(
                name=person,
                pose_estimation_series=series,
                description=f'a person in {name}',
                original_videos=[name],
                skeleton=skeleton,
                source_software='diffpose_mm',
                **size,
            )
        )
    part = path.with_name(f'{path.stem}{PART}.nwb')
    try:
        with writing(path):
            with pynwb.NWBHDF5IO(str(part), 'w') as stream:
                stream.write(file)
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _times(table: PoseTable) -> dict[str, Any]:
    if table.fps is not None and table.even_rate:
        return dict(starting_time=0.0, rate=float(table.fps))
    return dict(timestamps=frame_times(table))


def _dimensions(table: PoseTable) -> np.ndarray:
    width, height = table.image_size or (0, 0)
    return np.array([[width, height]], np.uint16)
