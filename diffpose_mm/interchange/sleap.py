"""SLEAP's ``.slp``, written by sleap-io."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..files import PART, writing
from .requirements import needed
from .table import NO_TRACK, PoseTable

PACKAGES = 'sleap-io'


def write_slp(table: PoseTable, path: Path, stem: str) -> None:
    """Write predictions, to be corrected in SLEAP or read by sleap-io.

    The video is named and not opened, so the file can be made where the video is not. A keypoint
    that is missing is NaN, with score 0.

    Args:
        table: The poses.
        path: The file.
        stem: Name of the video, of poses that do not say it.

    Raises:
        ModuleNotFoundError: sleap-io is missing.
        OSError: It cannot be written.
    """
    (sleap,) = needed('sleap_io', packages=PACKAGES, what='SLEAP')
    skeleton = sleap.Skeleton(
        list(table.keypoints), edges=[tuple(bone) for bone in table.skeleton], name='person'
    )
    video = sleap.Video(filename=str(table.input.get('name', f'{stem}.mp4')), open_backend=False)
    if table.image_size is not None:
        width, height = table.image_size
        video.backend_metadata['shape'] = (table.num_frames, height, width, 3)
    tracks = {number: sleap.Track(f'track_{number}') for number in table.tracks.tolist()}
    frames = []
    for number, poses in table.by_frame():
        people = [
            sleap.PredictedInstance.from_numpy(
                table.points[pose],
                skeleton=skeleton,
                point_scores=np.where(
                    table.present_of(pose), np.nan_to_num(table.scores[pose]), 0.0
                ),
                score=table.pose_score(pose),
                track=None if table.track[pose] == NO_TRACK else tracks[int(table.track[pose])],
            )
            for pose in poses.tolist()
        ]
        frames.append(sleap.LabeledFrame(video=video, frame_idx=number, instances=people))
    labels = sleap.Labels(
        frames, videos=[video], skeletons=[skeleton], tracks=list(tracks.values())
    )
    part = path.with_name(f'{path.stem}{PART}.slp')  # sleap-io goes by the ending
    try:
        with writing(path):
            sleap.save_slp(labels, str(part), embed=False)
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
