"""Submissions to PoseTrack: the official folder with one json a video, written and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from diffpose_mm.keypoint_sets import find_keypoint_set
from diffpose_mm.posetrack.evaluator_fields import submitted_keypoints, with_evaluator_fields
from diffpose_mm.posetrack.keypoints import KEYPOINTS, PERSON_CATEGORY

from .posetrack_files import GroundTruth, _columns, _read, _track_ids

_IMAGE_FIELDS = ('id', 'file_name', 'vid_id', 'frame_id', 'nframes', 'is_labeled')
# What the official evaluation assumes of a joint that comes without a score.
_MISSING_SCORE = -9999.0


def write_submission(
    folder: str | Path,
    poses_of_image: Mapping[int, Sequence[dict]],
    ground_truth: GroundTruth,
    keypoint_names: Sequence[str] = KEYPOINTS,
) -> list[Path]:
    """Write predictions as the official folder, one json a video, as poseval and the server want.

    Every frame of the ground truth is listed, also those without a pose. Where poses have no track
    id the poses of a frame are numbered: such a submission is to the per-frame task alone.

    Args:
        folder: where to; made if missing.
        poses_of_image: as for :func:`predicted_poses`, each pose also with ``score`` and
            optionally ``track_id`` and ``bbox`` (4,) as x, y, width, height in image pixels.
        ground_truth: the videos and their frames.
        keypoint_names: names of the K keypoints.

    Returns:
        The files written.
    """
    names = list(keypoint_names)
    if find_keypoint_set(names) is None:
        _columns(names, 'the predictions')
    # Keypoints that PoseTrack has and the model has not (the ears) are written as unannotated.
    source = [names.index(name) if name in names else None for name in KEYPOINTS]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for video, images in ground_truth.videos.items():
        annotations = []
        for image in images:
            for number, pose in enumerate(poses_of_image.get(image['id'], ())):
                points, ranks = np.asarray(pose['keypoints']), np.asarray(pose['keypoint_scores'])
                present = pose.get('keypoints_present')
                if present is None:
                    present = (points != 0).any(1) | (ranks != 0)
                triplets = submitted_keypoints(points, ranks, present)
                triplets = [[0.0, 0.0, 0.0] if i is None else triplets[i] for i in source]
                annotation = dict(
                    id=len(annotations) + 1,
                    image_id=image['id'],
                    category_id=1,
                    track_id=int(pose.get('track_id', number)),
                    keypoints=[value for triplet in triplets for value in triplet],
                    scores=[0.0 if i is None else float(ranks[i]) for i in source],
                    score=float(pose['score']),
                )
                if 'bbox' in pose:
                    annotation['bbox'] = np.asarray(pose['bbox'], dtype=np.float64).tolist()
                annotations.append(with_evaluator_fields(annotation))
        content = dict(
            images=[{k: image[k] for k in _IMAGE_FIELDS if k in image} for image in images],
            categories=[PERSON_CATEGORY],
            annotations=annotations,
        )
        files.append(folder / f'{video}.json')
        files[-1].write_text(json.dumps(content))
    return files


def load_submission(folder: str | Path, ground_truth: GroundTruth) -> dict[int, list[dict]]:
    """Read a submission folder back.

    Args:
        folder: json files named as the ground truth's videos.
        ground_truth: the videos expected.

    Returns:
        Image id -> poses with ``keypoints`` (17, 2), ``keypoint_scores`` (17,) and
        ``keypoints_present`` (17,), in the order of :data:`KEYPOINTS`, and ``track_id``. Joints
        without a score get the lowest rank, as officially.

    Raises:
        ValueError: if the file of a video is missing or lacks a field.
    """
    poses: dict[int, list[dict]] = {}
    for video in ground_truth.videos:
        file = Path(folder) / f'{video}.json'
        if not file.exists():
            raise ValueError(f'{file}: the submission has no file for this video')
        content = _read(file, annotations_required=True)
        names = content['keypoint_names']
        source = [names.index(name) if name in names else -1 for name in KEYPOINTS]
        annotations = content['annotations']
        scores = [a.get('scores') or [_MISSING_SCORE] * len(names) for a in annotations]
        for annotation, row in zip(annotations, scores):
            if len(row) != len(names):
                raise ValueError(
                    f'{file}: annotation {annotation.get("id")} has {len(row)} '
                    f"values in 'scores', not {len(names)}"
                )
        # One more column, of zeros, stands for keypoints that the file does not have.
        rows = np.zeros((len(annotations), len(names) + 1, 4))
        rows[:, :-1, :3] = np.reshape([a['keypoints'] for a in annotations], (-1, len(names), 3))
        rows[:, :-1, 3] = np.reshape(scores, (-1, len(names)))
        rows = rows[:, source]
        present = rows[..., :3].any(axis=2)
        for annotation, row, is_present in zip(annotations, rows, present):
            poses.setdefault(annotation['image_id'], []).append(
                dict(
                    keypoints=row[:, :2],
                    keypoint_scores=row[:, 3],
                    keypoints_present=is_present,
                    track_id=int(_track_ids([annotation])[0]),
                )
            )
    return poses
