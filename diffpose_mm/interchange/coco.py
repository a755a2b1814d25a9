"""COCO: results for an evaluation, and a data set whose labels are to be corrected; read back."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import read_json
from ..keypoint_sets import KEYPOINT_SETS, find_keypoint_set, keypoint_set
from ..posetrack.evaluator_fields import submitted_keypoints, with_evaluator_fields
from ..posetrack.records import check_records, repair_records
from .folders import fresh_folder, write_json
from .table import NO_TRACK, PoseTable, TableBuilder

FILES = ('results.json', 'dataset.json', 'sigmas.json')


def frame_name(stem: str, number: int) -> str:
    """Path of a frame's picture, as ``ffmpeg -i VIDEO -start_number 0 STEM/%06d.jpg`` names it."""
    return f'{stem}/{number:06d}.jpg'


def write_coco(table: PoseTable, folder: Path, stem: str) -> None:
    """Write ``results.json``, ``dataset.json`` and ``sigmas.json``.

    The id of an image is the number of its frame. Poses are ranked by
    :meth:`~.table.PoseTable.pose_score`. The sigmas of OKS are those of the keypoints, null where
    nobody has published one: evaluators assume those of COCO-17 otherwise.

    Args:
        table: The poses; the size of the frames has to be known.
        folder: Where to.
        stem: Name of the folder of pictures.

    Raises:
        OSError: It cannot be written.
    """
    fresh_folder(folder, 'results.json')
    annotations = [annotation_of(table, pose) for pose in range(len(table))]
    results = [
        {k: a[k] for k in ('image_id', 'category_id', 'keypoints', 'score', 'bbox', 'track_id')}
        for a in annotations
    ]
    labelled = [
        with_evaluator_fields(
            {
                **annotation,
                'id': number,
                'attributes': {'track_id': annotation['track_id']},  # where datumaro looks for it
                'keypoints': [
                    2 if i % 3 == 2 and value else value
                    for i, value in enumerate(annotation['keypoints'])
                ],
            }
        )
        for number, annotation in enumerate(annotations, 1)  # 0 is never matched by pycocotools
    ]
    dataset = dict(
        info=dict(description=f'poses of {table.input.get("name", stem)}, to be corrected'),
        images=[image_of(table, number, stem) for number in table.frames.tolist()],
        annotations=labelled,
        categories=[category_of(table)],
    )
    known = find_keypoint_set(table.keypoints)
    sigmas = [math.nan] * len(table.keypoints) if known is None else known.sigmas
    write_json(folder / FILES[0], results)
    write_json(folder / FILES[1], dataset)
    write_json(
        folder / FILES[2],
        dict(
            keypoints=list(table.keypoints),
            sigmas=[None if math.isnan(sigma) else sigma for sigma in sigmas],
        ),
    )


def category_of(table: PoseTable) -> dict[str, Any]:
    """The one category; bones count keypoints from 1."""
    bones = [[a + 1, b + 1] for a, b in table.skeleton]
    names = list(table.keypoints)
    return dict(id=1, name='person', supercategory='person', keypoints=names, skeleton=bones)


def image_of(table: PoseTable, number: int, stem: str) -> dict[str, Any]:
    """The entry of a frame."""
    image: dict[str, Any] = dict(id=number, file_name=frame_name(stem, number), frame_id=number)
    size = table.size_of(number)
    if size is not None:
        image.update(width=size[0], height=size[1])
    if table.time_of(number) is not None:
        image['time'] = table.time_of(number)
    return image


def annotation_of(table: PoseTable, pose: int) -> dict[str, Any]:
    """A pose with its scores; keypoints are triples x, y, score, and (0, 0, 0) where missing."""
    scores = np.nan_to_num(table.scores[pose])
    points = np.nan_to_num(table.points[pose])
    triples = submitted_keypoints(points, scores, table.present_of(pose))
    x1, y1, x2, y2 = np.nan_to_num(table.box_of(pose)).tolist()
    return dict(
        image_id=int(table.frame[pose]),
        category_id=1,
        track_id=int(table.track[pose]),
        keypoints=[value for triple in triples for value in triple],
        keypoint_scores=scores.tolist(),
        score=table.pose_score(pose),
        bbox=[x1, y1, x2 - x1, y2 - y1],
        iscrowd=0,
    )


def read_coco(path: str | os.PathLike, keypoints: str | None = None) -> PoseTable:
    """Read a data set of one video in COCO's or PoseTrack18's form, or a folder with one.

    A keypoint with ``v`` 0 is missing. Scores are ``keypoint_scores``, or ``scores`` as PoseTrack
    has them, else 1 (a label is certain). The number of a frame is ``frame_id`` where that of
    :func:`write_coco` stands, else the number in its file name, else its place.

    Args:
        path: The file; of a folder ``dataset.json``, or the one file in it.
        keypoints: Name of a set, of a file that does not name its keypoints.

    Raises:
        ValueError: Names the file and the field.
        OSError: It cannot be read.
    """
    file = _dataset_file(Path(path))
    try:
        return _dataset(read_json(file), keypoints)
    except (ValueError, TypeError, KeyError) as error:
        what = f'{error} is missing' if isinstance(error, KeyError) else error
        raise ValueError(f'{file}: {what}') from error


def _dataset_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    if (path / FILES[1]).is_file():
        return path / FILES[1]
    found = sorted(path.glob('*.json'))
    if len(found) != 1:
        raise ValueError(
            f'{path} holds {len(found)} JSON files: give the one to read, a video at a time'
        )
    return found[0]


def _dataset(content: Any, keypoints: str | None) -> PoseTable:
    if isinstance(content, list):
        raise ValueError('is a list, not a data set; of COCO results give --from coco-results')
    if not isinstance(content, dict) or not isinstance(content.get('images'), list):
        raise ValueError('has no "images": it is neither a COCO data set nor what infer writes')
    category = (content.get('categories') or [{}])[0]
    names = category.get('keypoints') or (keypoint_set(keypoints).keypoints if keypoints else None)
    if not names:
        raise ValueError(
            'categories[0] has no "keypoints", so their names are not known: give --keypoints '
            f'{" or ".join(KEYPOINT_SETS)}'
        )
    content.setdefault('annotations', [])
    repair_records(content)
    check_records('', content, len(names), ('id', 'image_id'))
    images = content['images']
    numbers = _frame_numbers(images)
    order = np.argsort(numbers, kind='stable')
    people: dict[Any, list[dict]] = {image['id']: [] for image in images}
    for annotation in content['annotations']:
        if annotation['image_id'] not in people:
            raise ValueError(f'annotation {annotation["id"]} is of an image that is not listed')
        people[annotation['image_id']].append(annotation)
    builder = TableBuilder(names)
    for place in order.tolist():
        image = images[place]
        builder.add_frame(numbers[place], image.get('time'))
        for annotation in people[image['id']]:
            _add_annotation(builder, annotation)
    sizes = {
        numbers[i]: (int(image['width']), int(image['height']))
        for i, image in enumerate(images)
        if image.get('width') and image.get('height')
    }
    size = sizes.get(int(min(numbers, default=0)))
    bones = category.get('skeleton') or ()
    return builder.table(
        skeleton=tuple((int(a) - 1, int(b) - 1) for a, b in bones),
        image_size=size,
        frame_sizes={number: own for number, own in sizes.items() if own != size},
        absent=builder.never_there(),
    )


def _frame_numbers(images: Sequence[dict]) -> list[int]:
    folders = {os.path.dirname(image['file_name'].replace('\\', '/')) for image in images}
    if len(folders) > 1:
        raise ValueError(
            f'holds frames of {len(folders)} folders ({", ".join(sorted(folders)[:3])}, ...): '
            'give a file of one video'
        )
    own = [image.get('frame_id') for image in images]
    if all(isinstance(n, int) and n == i['id'] for n, i in zip(own, images)) and _small(own):
        return [int(number) for number in own if number is not None]
    found = [re.search(r'(\d+)\.\w+$', image['file_name']) for image in images]
    named = [int(match.group(1)) for match in found if match]
    if len(named) == len(images) and len(set(named)) == len(named):
        return named
    return list(range(len(images)))


def _small(numbers: Sequence[Any]) -> bool:
    """Whether they count frames; PoseTrack's hold the number of the video as well."""
    return max(numbers, default=0) < 10**8 and min(numbers, default=0) >= 0


def _add_annotation(builder: TableBuilder, annotation: dict) -> None:
    joints = len(builder.keypoints)
    values = annotation.get('keypoints')
    if not values:
        return
    triples = np.array(values, np.float64).reshape(joints, 3)
    there = triples.any(1) & (triples[:, 2] != 0)
    points = np.where(there[:, None], triples[:, :2], np.nan)
    scores = annotation.get('keypoint_scores') or annotation.get('scores') or [1.0] * joints
    if len(scores) != joints:
        raise ValueError(f'annotation {annotation["id"]} has {len(scores)} scores, not {joints}')
    box = annotation.get('bbox')
    builder.add_pose(
        points,
        np.where(there, np.array(scores, np.float64), np.nan),
        _track(annotation.get('track_id')),
        box=None if not box or not any(box) else [*box[:2], box[0] + box[2], box[1] + box[3]],
    )


def _track(number: Any) -> int:
    return NO_TRACK if number is None or int(number) < 0 else int(number)


def read_coco_results(path: str | os.PathLike, keypoints: str | None = None) -> PoseTable:
    """Read COCO results of one video, whose image ids are numbers of frames.

    Args:
        path: The file, or the folder of :func:`write_coco`.
        keypoints: Name of the set that the poses are in; needed unless ``sigmas.json`` of
            :func:`write_coco` lies beside the file.

    Raises:
        ValueError: Names the file and the field.
        OSError: It cannot be read.
    """
    file = Path(path)
    file = file / FILES[0] if file.is_dir() else file
    try:
        beside = file.with_name(FILES[2])
        if keypoints is not None:
            names: Sequence[str] = keypoint_set(keypoints).keypoints
        elif beside.is_file():
            names = read_json(beside)['keypoints']
        else:
            raise ValueError(
                'results do not name their keypoints: give --keypoints '
                f'{" or ".join(KEYPOINT_SETS)}'
            )
        content = read_json(file)
        if not isinstance(content, list):
            raise ValueError('is not a list of results')
        known = find_keypoint_set(names)
        builder = TableBuilder(names)
        for place, result in enumerate(content):
            number = result.get('image_id') if isinstance(result, dict) else None
            named = (
                re.fullmatch(r'(?:.*\D)?(\d+)\.\w+', number) if isinstance(number, str) else None
            )
            if named:  # names of pictures, as AlphaPose has them
                number = result['image_id'] = int(named[1])
            if not isinstance(number, int) or number < 0:
                raise ValueError(
                    f'entry {place} has image_id {number!r}, not the number of a frame'
                )
        for result in sorted(content, key=lambda entry: entry['image_id']):
            if not builder.frames or builder.frames[-1] != result['image_id']:
                builder.add_frame(result['image_id'])
            triples = np.array(result['keypoints'], np.float64).reshape(-1, 3)
            _add_annotation(
                builder, {'id': '?', **result, 'keypoint_scores': triples[:, 2].tolist()}
            )
        return builder.table(
            skeleton=() if known is None else tuple((a, b) for a, b in known.skeleton),
            absent=builder.never_there(),
        )
    except (ValueError, TypeError, KeyError) as error:
        what = f'{error} is missing' if isinstance(error, KeyError) else error
        raise ValueError(f'{file}: {what}') from error
