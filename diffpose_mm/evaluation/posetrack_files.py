"""PoseTrack18's ground truth as the evaluation needs it, and predictions in its order.

Ground truth is read either from the COCO-style file that holds all videos or from the official
folder with one file a video; the two give the same result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffpose_mm.files import data_files, read_json
from diffpose_mm.keypoint_sets import find_keypoint_set
from diffpose_mm.posetrack.keypoints import JOINTS, KEYPOINTS
from diffpose_mm.posetrack.records import check_records, repair_records
from diffpose_mm.videos import forward_slashes, video_names, videos_of

from .posetrack_protocol import PredictedPoses, TruePoses, head_size

_FLAGS = ('occluded', 'blurred')
_HINT = 'this is not a PoseTrack18 annotation file'


@dataclass
class GroundTruth:
    """Ground truth of a set of videos.

    Attributes:
        poses: the annotated persons of all frames.
        videos: name of each video -> its frames, the ``images`` entries of the file in their
            order. Videos are sorted by name; frames of ``poses`` count through them in order.
        frame_of_image: image id -> frame index in ``poses``.
        num_without_head_box: persons without a head box, which no prediction can match.
    """

    poses: TruePoses
    videos: dict[str, list[dict]]
    frame_of_image: dict[int, int]
    num_without_head_box: int


def load_ground_truth(path: str | Path, annotations_required: bool = True) -> GroundTruth:
    """Read PoseTrack18 ground truth.

    Args:
        path: a COCO-style json file with all videos, or a folder of json files, one a video.
        annotations_required: whether a file without ``annotations`` is an error; a test set has
            none and can still be formatted for submission.

    Returns:
        GroundTruth: persons, frames and ignore regions.

    Raises:
        ValueError: if ``path`` does not exist or its content is not PoseTrack18's; the message
            names the file and the field.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(
            f'{path}: no such annotation file or folder; give the COCO-style json '
            'file of PoseTrack18 or the official folder with one json a video'
        )
    files = [path / name for name in data_files(path, ('.json',))] if path.is_dir() else [path]
    if not files:
        raise ValueError(f'{path}: the annotation folder holds no json file')

    videos: dict[str, list[dict]] = {}
    annotations, names_of = [], []
    for file in files:
        content = _read(file, annotations_required)
        if path.is_dir():
            videos[file.stem] = content['images']
        else:
            for name, image in zip(_names_of_videos(content['images'], file), content['images']):
                videos.setdefault(name, []).append(image)
        annotations += content.get('annotations', [])
        names_of += [tuple(content['keypoint_names'])] * len(content.get('annotations', []))
    videos = {name: videos[name] for name in sorted(videos)}
    if not path.is_dir():
        # Tracking needs frames in order. The official files have them so, others may not.
        for images in videos.values():
            images.sort(key=lambda image: (len(image['file_name']), image['file_name']))
    without_head_box = sum(not a.get('bbox_head') for a in annotations)
    if annotations and without_head_box == len(annotations):
        raise ValueError(
            f"{path}: no annotation has 'bbox_head', the head box by which distances "
            f'are measured; {_HINT}'
        )

    frame_of_image: dict[int, int] = {}
    all_images = [image for images in videos.values() for image in images]
    for frame, image in enumerate(all_images):
        if image['id'] in frame_of_image:
            raise ValueError(
                f'{path}: image id {image["id"]} occurs twice; ids must be unique over all videos'
            )
        frame_of_image[image['id']] = frame

    # A file cut down to some of its images may still hold the persons of the others.
    kept = [i for i, a in enumerate(annotations) if a['image_id'] in frame_of_image]
    frame = np.array([frame_of_image[annotations[i]['image_id']] for i in kept], dtype=np.int64)
    order = np.argsort(frame, kind='stable')
    annotations = [annotations[kept[i]] for i in order]
    points, present = _joints(
        [a['keypoints'] for a in annotations], [names_of[kept[i]] for i in order]
    )
    boxes = [a.get('bbox_head') or (0, 0, 0, 0) for a in annotations]
    poses = TruePoses(
        frame=frame[order],
        points=points,
        present=present,
        head_size=head_size(np.array(boxes, dtype=np.float64)),
        ignore_regions=_ignore_regions(all_images, path),
        flags=_flags(annotations, [names_of[kept[i]] for i in order], path),
        track_id=_track_ids(annotations),
    )
    return GroundTruth(
        poses=poses,
        videos=videos,
        frame_of_image=frame_of_image,
        num_without_head_box=without_head_box,
    )


def predicted_poses(
    poses_of_image: Mapping[int, Sequence[dict]],
    ground_truth: GroundTruth,
    keypoint_names: Sequence[str] = KEYPOINTS,
    partial: bool = False,
) -> PredictedPoses:
    """Predictions as flat arrays in the order of the ground truth's frames.

    Args:
        poses_of_image: image id -> poses, each with ``keypoints`` (K, 2) in image pixels and
            ``keypoint_scores`` (K,), optionally ``keypoints_present`` (K,) bool and ``track_id``.
            Their order within an image matters where values are equal.
        ground_truth: the frames.
        keypoint_names: names of the K keypoints.
        partial: joints that a named set of keypoints does not have are not predicted, in place
            of an error.

    Returns:
        PredictedPoses: with the 15 evaluated joints. Where ``keypoints_present`` is not given, a
        joint at exactly (0, 0) with score 0 is not a prediction, as in the official evaluation.

    Raises:
        ValueError: if an image id is unknown or a keypoint is missing.
    """
    if partial and find_keypoint_set(keypoint_names) is not None:
        columns = [
            list(keypoint_names).index(name) if name in keypoint_names else -1 for name in JOINTS
        ]
    else:
        columns = _columns(keypoint_names, 'the predictions')
    lacking = np.array(columns) < 0
    for image_id in poses_of_image:
        if image_id not in ground_truth.frame_of_image:
            raise ValueError(
                f'there is a prediction for image id {image_id}, which the ground '
                'truth does not have; is ann_file that of the tested dataset?'
            )
    frame, points, scores, present, tracks = [], [], [], [], []
    for image_id, index in ground_truth.frame_of_image.items():
        for pose in poses_of_image.get(image_id, ()):
            frame.append(index)
            points.append(pose['keypoints'])
            scores.append(pose['keypoint_scores'])
            present.append(pose.get('keypoints_present'))
            tracks.append(pose.get('track_id', -1))
    shape = (len(frame), len(keypoint_names))
    points = np.asarray(points, dtype=np.float64).reshape(*shape, 2)[:, columns]
    scores = np.asarray(scores, dtype=np.float64).reshape(shape)[:, columns]
    is_present = np.any(points != 0, axis=2) | (scores != 0)
    stated = [row for row, flags in enumerate(present) if flags is not None]
    if stated:
        is_present[stated] = np.array([present[row] for row in stated], dtype=bool)[:, columns]
    is_present[:, lacking] = False
    return PredictedPoses(
        np.array(frame, dtype=np.int64),
        points,
        is_present,
        scores,
        np.array(tracks, dtype=np.int64),
    )


def _read(file: Path, annotations_required: bool) -> dict:
    """Load one file and check its fields; adds ``keypoint_names``."""
    try:
        content = read_json(file)
    except ValueError as error:
        raise ValueError(f'{file}: not a json file ({error})') from error
    hint = _HINT
    if isinstance(content, dict) and 'annolist' in content:
        raise ValueError(
            f"{file}: 'annolist' is the format of PoseTrack17; `mim run diffpose_mm "
            'prepare_posetrack --year 17` converts it to that of PoseTrack18'
        )
    required = ['images', 'categories'] + ['annotations'] * annotations_required
    for name in required:
        if not isinstance(content, dict) or name not in content:
            raise ValueError(f'{file}: lacks {name!r}; {hint}')
    for name in ('images', *(['annotations'] if 'annotations' in content else [])):
        if not isinstance(content[name], list):
            raise ValueError(f'{file}: {name!r} is no list; {hint}')
    categories = content['categories']
    names = (
        categories[0].get('keypoints')
        if isinstance(categories, list) and categories and isinstance(categories[0], dict)
        else None
    )
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{file}: lacks 'keypoints' in 'categories'; {hint}")
    content['keypoint_names'] = names
    _columns(names, f'{file}: {hint}; categories[0].keypoints')
    repair_records(content)
    check_records(str(file), content, len(names), ('image_id', 'keypoints'))
    for annotation in content.get('annotations', []):
        if not annotation['keypoints']:
            raise ValueError(
                f'{file}: annotation {annotation.get("id")} has 0 values in '
                f"'keypoints', not {3 * len(names)}"
            )
    return content


def _names_of_videos(images: Sequence[dict], file: Path) -> list[str]:
    """The name of each image's video: the ``video`` that the image gives, as in a converted
    PoseTrack17; else that of its folder, with as many of the folders above as tell videos apart."""
    folders = videos_of(image['file_name'] for image in images)
    names = video_names(folders)
    found = []
    for image, folder in zip(images, folders):
        name = image.get('video') or names[folder] or str(image.get('vid_id', ''))
        if not name:
            raise ValueError(
                f'{file}: image {image["id"]} lies in no video folder (file_name '
                f"{image['file_name']!r}) and has no 'vid_id'"
            )
        # It names a file of the submission.
        found.append(forward_slashes(name).replace('/', '__'))
    return found


def _columns(names: Sequence[str], what: str) -> list[int]:
    missing = [joint for joint in JOINTS if joint not in names]
    if missing:
        raise ValueError(f'{what} lacks the PoseTrack keypoints {", ".join(missing)}')
    return [list(names).index(joint) for joint in JOINTS]


def _by_names(rows: Sequence, names_of: Sequence[tuple[str, ...]], width: int) -> np.ndarray:
    """Stack rows of K * width values, in the order of their K names, to (n, 15, width)."""
    out = np.zeros((len(rows), len(JOINTS), width))
    for names in set(names_of):
        chosen = [i for i, other in enumerate(names_of) if other == names]
        values = np.array([rows[i] for i in chosen], dtype=np.float64)
        out[chosen] = values.reshape(len(chosen), len(names), width)[:, _columns(names, '')]
    return out


def _joints(rows: Sequence, names_of: Sequence[tuple[str, ...]]) -> tuple[np.ndarray, np.ndarray]:
    triplets = _by_names(rows, names_of, 3)
    # Visibility does not matter: a joint is unannotated only if all three values are zero.
    return triplets[..., :2], triplets.any(axis=2)


def _flags(
    annotations: Sequence[dict], names_of: Sequence[tuple[str, ...]], path: Path
) -> dict[str, np.ndarray]:
    flags = {}
    for name in _FLAGS:
        if not any(name in a for a in annotations):
            continue
        rows = []
        for annotation, names in zip(annotations, names_of):
            row = annotation.get(name, [0] * len(names))
            if len(row) != len(names):
                raise ValueError(
                    f'{path}: annotation {annotation.get("id")} has {len(row)} '
                    f'values in {name!r}, not {len(names)}'
                )
            rows.append(row)
        flags[name] = _by_names(rows, names_of, 1)[..., 0] > 0
    return flags


def _track_ids(annotations: Sequence[dict]) -> np.ndarray:
    tracks = [annotation.get('track_id') for annotation in annotations]
    return np.array([-1 if track is None else track for track in tracks], dtype=np.int64)


def _ignore_regions(images: Sequence[dict], path: Path) -> list[list[np.ndarray]]:
    counts, sizes, all_x, all_y = [], [], [], []
    for image in images:
        xs, ys = image.get('ignore_regions_x'), image.get('ignore_regions_y')
        if xs is None or ys is None:
            xs = ys = []
        try:
            image_sizes = [len(x) for x in xs]
            if image_sizes != [len(y) for y in ys]:
                raise ValueError('unequal numbers')
            corners = np.array([v for region in (*xs, *ys) for v in region], dtype=np.float64)
            if not np.isfinite(corners).all():
                raise ValueError('not finite')
        except (TypeError, ValueError) as error:
            raise ValueError(
                f'{path}: image {image["id"]} ({image["file_name"]}): ignore_regions_x and '
                f'ignore_regions_y must be lists of polygons with as many x as y ({error})'
            ) from error
        counts.append(len(image_sizes))
        sizes += image_sizes
        all_x.append(corners[: len(corners) // 2])
        all_y.append(corners[len(corners) // 2 :])
    corners = np.column_stack([np.concatenate([[], *all_x]), np.concatenate([[], *all_y])])
    ends = np.cumsum(sizes, dtype=np.int64)
    polygons = iter([corners[end - size : end] for end, size in zip(ends, sizes)])
    return [[next(polygons) for _ in range(count)] for count in counts]
