"""A recording for Rerun's viewer, written by rerun-sdk."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..files import PART, writing
from .requirements import needed
from .table import PoseTable

PACKAGES = 'rerun-sdk'
TIMELINES = ('frame', 'time')
"""Number of the frame, and seconds from the start of the video as players show it."""


def write_rrd(table: PoseTable, path: Path, stem: str) -> None:
    """Write points and boxes of every person, cleared in the first frame without them.

    Entities are ``poses/track_N/keypoints`` and ``poses/track_N/box``. A keypoint's id is its place
    in the set, so that the viewer names it and draws the bones; scores and spread stand beside the
    points. The time line ``time`` has the times of the frames only where all have one.

    Args:
        table: The poses.
        path: The file.
        stem: Name of the video.

    Raises:
        ModuleNotFoundError: rerun-sdk is missing.
        OSError: It cannot be written.
    """
    (rerun,) = needed('rerun', packages=PACKAGES, what='a recording of Rerun')
    table = table.with_all_tracks()
    recording = rerun.RecordingStream('diffpose_mm')
    part = path.with_name(path.name + PART)
    try:
        with writing(path):
            recording.save(str(part))
            recording.send_recording_name(str(table.input.get('name', stem)))
            recording.log('poses', _context(rerun, table), static=True)
            _log_frames(rerun, recording, table)
            recording.flush()
            recording.disconnect()
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _context(rerun, table: PoseTable):  # type: ignore[no-untyped-def]
    return rerun.AnnotationContext(
        rerun.ClassDescription(
            info=rerun.AnnotationInfo(id=0, label='person'),
            keypoint_annotations=[
                rerun.AnnotationInfo(id=index, label=name)
                for index, name in enumerate(table.keypoints)
            ],
            keypoint_connections=[tuple(bone) for bone in table.skeleton],
        )
    )


def _log_frames(rerun, recording, table: PoseTable) -> None:  # type: ignore[no-untyped-def]
    shown: set[str] = set()
    for number, poses in table.by_frame():
        recording.set_time(TIMELINES[0], sequence=number)
        if table.has_times:
            recording.set_time(TIMELINES[1], duration=table.time_of(number))
        here = set()
        for pose in poses.tolist():
            entity = f'poses/track_{table.track[pose]}'
            here.add(entity)
            places = np.flatnonzero(table.present_of(pose))
            recording.log(
                f'{entity}/keypoints',
                rerun.Points2D(table.points[pose, places], keypoint_ids=places, class_ids=0),
                rerun.AnyValues(
                    score=table.scores[pose, places], std=table.deviations[pose, places].ravel()
                ),
            )
            box = table.box_of(pose)
            if np.isfinite(box).all():
                recording.log(
                    f'{entity}/box',
                    rerun.Boxes2D(array=box[None], array_format=rerun.Box2DFormat.XYXY),
                )
        for entity in sorted(shown - here):
            recording.log(entity, rerun.Clear(recursive=True))
        shown = here
