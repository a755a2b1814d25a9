"""PoseTrack's official folder: one JSON a video, as poseval and the server take it."""

from __future__ import annotations

from pathlib import Path

from ..posetrack.evaluator_fields import with_evaluator_fields
from ..posetrack.keypoints import PERSON_CATEGORY
from .coco import annotation_of, image_of
from .folders import fresh_folder, write_json
from .table import PoseTable

SETS = ('posetrack17',)
FIRST_IMAGE = 10**10
"""Ids of images are this plus the number of the frame: PoseTrack's begin with 1 as well."""


def write_posetrack(table: PoseTable, folder: Path, stem: str) -> None:
    """Write ``STEM.json`` with every frame from 0 to the last, also those without people.

    Ids of images are ours, not those of a PoseTrack release: a submission to the server is made
    by ``test`` (``PoseTrackAP``), which knows the ground truth.

    Args:
        table: The poses, in PoseTrack-17.
        folder: Where to.
        stem: Name of the video.

    Raises:
        OSError: It cannot be written.
    """
    fresh_folder(folder, f'{stem}.json')
    table = table.with_all_tracks()
    images = []
    for number in range(table.num_frames):
        image = image_of(table, number, f'images/{stem}')
        image.update(
            id=FIRST_IMAGE + number,
            vid_id=stem,
            nframes=table.num_frames,
            is_labeled=True,
            ignore_regions_x=[],
            ignore_regions_y=[],
        )
        images.append(image)
    annotations = []
    for pose in range(len(table)):
        annotation = annotation_of(table, pose)
        annotation.update(
            id=pose + 1,
            image_id=FIRST_IMAGE + annotation['image_id'],
            scores=annotation.pop('keypoint_scores'),
        )
        annotations.append(with_evaluator_fields(annotation))
    content = dict(images=images, annotations=annotations, categories=[PERSON_CATEGORY])
    write_json(folder / f'{stem}.json', content)
