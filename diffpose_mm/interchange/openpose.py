"""OpenPose's folder: a JSON file for every frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .folders import fresh_folder, write_json
from .table import NO_TRACK, PoseTable

SETS = ('body25', 'coco17')
"""Sets of keypoints that readers of OpenPose's files know; the last where none fits."""


def write_openpose(table: PoseTable, folder: Path, stem: str) -> None:
    """Write ``STEM_000000000000_keypoints.json`` and so on, a file for every frame from 0 on.

    Readers count files, so frames that are not in the table have one too. People with no keypoint
    are left out. People are in the order of their numbers, and ``person_id`` has them.

    Args:
        table: The poses, in one of :data:`SETS`.
        folder: Where to.
        stem: What the files are called.

    Raises:
        OSError: It cannot be written.
    """
    fresh_folder(folder, '*_keypoints.json')
    found = dict(table.by_frame())
    empty = np.zeros(0, int)
    for number in range(table.num_frames):
        poses = found.get(number, empty)
        people = [
            dict(
                person_id=[int(table.track[pose])],
                pose_keypoints_2d=_triples(table, pose),
                face_keypoints_2d=[],
                hand_left_keypoints_2d=[],
                hand_right_keypoints_2d=[],
                pose_keypoints_3d=[],
                face_keypoints_3d=[],
                hand_left_keypoints_3d=[],
                hand_right_keypoints_3d=[],
            )
            for pose in sorted(poses.tolist(), key=lambda pose: _rank(int(table.track[pose])))
            if table.present_of(pose).any()
        ]
        name = f'{stem}_{number:012d}_keypoints.json'
        write_json(folder / name, dict(version=1.3, people=people))


def _rank(track: int) -> float:
    return np.inf if track == NO_TRACK else float(track)


def _triples(table: PoseTable, pose: int) -> list[float]:
    triples = np.column_stack([table.points[pose], table.scores[pose]])
    triples[~table.present_of(pose)] = 0
    return np.nan_to_num(triples).ravel().tolist()
