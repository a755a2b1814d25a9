"""The official annotation files of PoseTrack17, 18 and 21, one a video, read as one form.

That form is PoseTrack18's (``images``, ``annotations``; 17 keypoints of which the ears are never
annotated). PoseTrack21 has it as well. PoseTrack17 has an ``annolist`` of frames, as MATLAB wrote
it (``.mat``) or as ``mat2json`` of the official evaluation code turned it into json, in which
every value is a list of one. Its 15 joints are numbered as the official evaluation numbers them,
from the right ankle (0) to the top of the head (14).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from scipy.io import loadmat

from ..files import read_json
from ..videos import forward_slashes
from .keypoints import JOINTS, KEYPOINTS
from .records import check_records, repair_records
from .report import Report

_PLACE_OF_JOINT = [KEYPOINTS.index(joint) for joint in JOINTS]
# PoseTrack18's boxes are 1.3 times as wide and high as the extent of the joints, about its centre;
# those of PoseTrack17, which has none, are made in the same way.
_BOX_MARGIN = 0.15


class BrokenFileError(ValueError):
    """An annotation file that cannot be read; the message names the file and the field."""


@dataclass
class Video:
    """An annotated video.

    Attributes:
        name (str): Name of its annotation file, without the extension.
        images (list[dict]): Its frames, as PoseTrack18 writes them: ``id``, ``file_name``,
            ``nframes``, ``is_labeled``, ``ignore_regions_x``, ``ignore_regions_y``, and ``video``,
            which is ``name``.
        annotations (list[dict]): Its persons: ``id``, ``image_id``, ``keypoints`` (51 numbers),
            ``num_keypoints``, ``bbox`` and ``bbox_head`` as far as there are any, ``track_id``.
    """

    name: str
    images: list[dict]
    annotations: list[dict]


def read_video(file: Path, year: int, first_id: int, report: Report) -> Video:
    """Read an official annotation file.

    Args:
        file: ``.json`` or, for PoseTrack17, ``.mat``.
        year: 17, 18 or 21.
        first_id: where to start numbering the images of a file that has no ids (PoseTrack17).
        report: receives what is wrong with single persons, joints and regions.

    Returns:
        Video: in PoseTrack18's keypoint order, with valid ignore regions, joints and persons only.

    Raises:
        BrokenFileError: The file cannot be read or is not of the year's form.
    """
    try:
        content = _load(file)
        if not isinstance(content, dict):
            raise BrokenFileError(f'holds a {type(content).__name__}, not "images" or "annolist"')
        if 'annolist' not in content:
            return _from_coco(file, content, year, report)
        if year != 17:
            raise BrokenFileError(
                f'"annolist" is the form of PoseTrack17, not of PoseTrack{year}; is --year right?'
            )
        video = _from_annolist(file, content['annolist'], first_id, report)
        _check(vars(video), len(KEYPOINTS))
        return video
    except BrokenFileError as error:
        raise BrokenFileError(f'{file.name}: {error}') from error


def _load(file: Path) -> Any:
    try:
        if file.suffix.lower() == '.mat':
            return loadmat(file, simplify_cells=True)
        return read_json(file)
    except Exception as error:  # scipy raises all kinds on files that are cut short
        kind = 'MATLAB' if file.suffix.lower() == '.mat' else 'JSON'
        raise BrokenFileError(f'cannot be read as {kind}: {error}') from error


def _check(content: dict, num_keypoints: int) -> None:
    """Check the fields of images and annotations as the metric and the data sets will."""
    try:
        check_records('', content, num_keypoints, ('id', 'image_id'))
    except ValueError as error:
        raise BrokenFileError(str(error).removeprefix(': ')) from error


def _from_coco(file: Path, content: dict, year: int, report: Report) -> Video:
    for field in ('images', 'annotations', 'categories'):
        _is(content.get(field), list, f'"{field}"')
    category = content['categories'][0] if content['categories'] else {}
    names = _is(
        _is(category, dict, 'categories[0]').get('keypoints'), list, 'categories[0]["keypoints"]'
    )
    for name in names:
        _is(name, str, 'an entry of categories[0]["keypoints"]')
    if set(JOINTS) - set(names):
        raise BrokenFileError(
            f'categories[0]["keypoints"] lacks {", ".join(j for j in JOINTS if j not in names)}'
        )
    source = [names.index(name) if name in names else -1 for name in KEYPOINTS]
    repair_records(content)
    _check(content, len(names))

    images = []
    for number, image in enumerate(content['images']):
        name = _frame_path(image['file_name'], f'images[{number}]["file_name"]')
        xs, ys = (image.get(f'ignore_regions_{axis}') or [] for axis in 'xy')
        xs, ys = _sound_regions(xs, ys, f'{file.name}: {name}', report)
        images.append(
            {
                **image,
                'nframes': image.get('nframes') or len(content['images']),
                'is_labeled': bool(image.get('is_labeled', True)),
                'ignore_regions_x': xs,
                'ignore_regions_y': ys,
                'video': file.stem,
            }
        )
    image_of_id = {image['id']: image for image in images}
    if len(image_of_id) < len(images):
        raise BrokenFileError('"images" has an "id" twice')

    annotations = []
    for person in content['annotations']:
        image = image_of_id.get(person['image_id'])
        if image is None:
            report.add(
                'annotation of an unlisted image',
                f'{file.name}: annotation {person["id"]} of image {person["image_id"]}',
            )
            continue
        place = f'{file.name}: {image["file_name"]}: annotation {person["id"]}'
        values = person.get('keypoints') or []
        if year == 21 and not any(values) and not image['is_labeled']:
            # The evaluation of PoseTrack21 looks at is_labeled; the one used here counts a frame
            # as soon as it has a person.
            report.add('person on an unlabelled frame', place)
            continue
        keypoints, occluded = [], []
        for i in source:
            x, y, visible = values[3 * i : 3 * i + 3] if values and i >= 0 else (0, 0, 0)
            # The evaluations of all three years count what has coordinates as annotated.
            occluded.append(int(not visible and bool(x or y)))
            keypoints += [x, y, visible or occluded[-1]]
        annotations.append(_with_keypoints(person, keypoints, occluded))
    return Video(file.stem, images, annotations)


def _from_annolist(file: Path, annolist: Any, first_id: int, report: Report) -> Video:
    images, annotations = [], []
    for number, frame in enumerate(_list(annolist)):
        where = f'annolist[{number}]'
        _is(frame, dict, where)
        name = _one(_is(_one(frame.get('image')), dict, f'{where}.image').get('name'))
        name = _frame_path(name, f'{where}.image.name')
        image_id = first_id + number
        xs, ys = [], []
        for region in _list(frame.get('ignore_regions')):
            points = _list(region.get('point')) if isinstance(region, dict) else [None]
            points = [p if isinstance(p, dict) else {} for p in points]
            xs.append([_one(point.get('x')) for point in points])
            ys.append([_one(point.get('y')) for point in points])
        xs, ys = _sound_regions(xs, ys, f'{file.name}: {name}', report)
        persons = _list(frame.get('annorect'))
        labeled = _one(frame.get('is_labeled'))
        images.append(
            dict(
                id=image_id,
                frame_id=image_id,
                file_name=name,
                vid_id=name.split('/')[-2].split('_')[0],
                video=file.stem,
                is_labeled=bool(persons) if labeled is None else bool(labeled),
                ignore_regions_x=xs,
                ignore_regions_y=ys,
            )
        )
        for index, person in enumerate(persons):
            field = f'{where}.annorect[{index}]'
            annotation = dict(
                id=1000 * image_id + index,
                image_id=image_id,
                category_id=1,
                iscrowd=0,
                **_person_of_rect(_is(person, dict, field), field, f'{file.name}: {name}', report),
            )
            annotations.append(annotation)
    for image in images:
        image['nframes'] = len(images)
    return Video(file.stem, images, annotations)


def _person_of_rect(rect: dict, field: str, where: str, report: Report) -> dict:
    """Keypoints, boxes and track of an ``annorect``."""
    track = _one(rect.get('track_id'))
    person = dict(track_id=-1 if track is None else _integer(track, f'{field}.track_id'))
    place = f'{where}: track {person["track_id"]}'
    points: dict[int, tuple[float, float]] = {}
    occluded = [0] * len(KEYPOINTS)
    annopoints = _one(rect.get('annopoints'))
    for point in _list(annopoints.get('point')) if isinstance(annopoints, dict) else []:
        _is(point, dict, f'{field}.annopoints.point')
        joint = _integer(_one(point.get('id')), f'{field}.annopoints.point.id')
        x, y = (_number(_one(point.get(axis)), f'{field}.annopoints.point.{axis}') for axis in 'xy')
        if not 0 <= joint < len(JOINTS):
            report.add('unknown joint', f'{place}: id {joint}')
        elif not (math.isfinite(x) and math.isfinite(y)):
            report.add('joint not finite', f'{place}: {JOINTS[joint]}')
        elif joint in points:
            report.add('joint twice', f'{place}: {JOINTS[joint]}')
        else:
            points[joint] = x, y
            occluded[_PLACE_OF_JOINT[joint]] = int(_one(point.get('is_visible')) in (0, '0'))

    keypoints = [0] * (3 * len(KEYPOINTS))
    for joint, (x, y) in points.items():
        place_of = 3 * _PLACE_OF_JOINT[joint]
        # Hidden joints are annotated as well; a flag marks them.
        keypoints[place_of : place_of + 3] = [x, y, 1]
    person = _with_keypoints(person, keypoints, occluded)
    if points:
        low, high = np.min(list(points.values()), 0), np.max(list(points.values()), 0)
        margin = _BOX_MARGIN * (high - low)
        person['bbox'] = [*(low - margin).tolist(), *(high - low + 2 * margin).tolist()]
    corners = [_one(rect.get(name)) for name in ('x1', 'y1', 'x2', 'y2')]
    if None not in corners:
        x1, y1, x2, y2 = (_number(v, f'{field}.x1 ... y2') for v in corners)
        if all(map(math.isfinite, (x1, y1, x2, y2))):
            person['bbox_head'] = [x1, y1, x2 - x1, y2 - y1]
    return person


def _with_keypoints(person: dict, keypoints: list, occluded: list[int]) -> dict:
    annotated = sum(any(keypoints[i : i + 3]) for i in range(0, len(keypoints), 3))
    person = {**person, 'keypoints': keypoints, 'num_keypoints': annotated}
    return {**person, 'occluded': occluded} if any(occluded) else person


def _sound_regions(xs: Any, ys: Any, where: str, report: Report) -> tuple[list, list]:
    """The ignore regions that are polygons."""
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        report.add(
            'ignore region malformed',
            f'{where}: ignore_regions_x and ignore_regions_y are not two lists of equal length',
        )
        return [], []
    kept: tuple[list, list] = [], []
    for number, (x, y) in enumerate(zip(xs, ys)):
        sound = (
            isinstance(x, list)
            and isinstance(y, list)
            and len(x) == len(y) >= 3
            and all(_is_finite(v) for v in (*x, *y))
        )
        if sound:
            kept[0].append(x)
            kept[1].append(y)
        else:
            report.add('ignore region malformed', f'{where}: region {number}')
    return kept


def _list(value: Any) -> list:
    """What MATLAB wrote as a struct array: a list, one alone, or nothing."""
    if value is None or (isinstance(value, (np.ndarray, str)) and len(value) == 0):
        return []
    if isinstance(value, np.ndarray):
        return list(value.ravel())
    return value if isinstance(value, list) else [value]


def _one(value: Any) -> Any:
    """A MATLAB scalar, written bare or as a list of one; None if it is empty."""
    values = _list(value)
    return values[0] if values else None


def _is(value: Any, kind: type, field: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        found = 'is missing' if value is None else f'is {str(value)[:60]!r}'
        words = {list: 'a list', dict: 'an object', int: 'an integer', str: 'a string'}
        raise BrokenFileError(f'{field} {found}, but must be {words[kind]}')
    return value


def _frame_path(value: Any, field: str) -> str:
    """A relative path with a folder, which is the video's."""
    path = PurePosixPath(forward_slashes(_is(value, str, field)))
    if path.is_absolute() or '..' in path.parts or len(path.parts) < 2 or '\0' in value:
        raise BrokenFileError(
            f'{field} is {value!r}, but must be a path like images/val/000342_mpii_test/000000.jpg'
        )
    return str(path)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(_number(value, ''))
    except BrokenFileError:
        return False


def _number(value: Any, field: str) -> float:
    """A number; mat2json writes those that are not finite as text."""
    if isinstance(value, str) and value.lower() in ('nan', 'inf', '-inf'):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (Real, np.number)):
        raise BrokenFileError(f'{field} is {str(value)[:60]!r}, but must be a number')
    if isinstance(value, int) and abs(value) > 2**53:
        raise BrokenFileError(f'{field} is {str(value)[:60]}, which is too large for a coordinate')
    return value.item() if isinstance(value, np.number) else value


def _integer(value: Any, field: str) -> int:
    number = _number(value, field)
    if not math.isfinite(number) or number != int(number):
        raise BrokenFileError(f'{field} is {number}, but must be an integer')
    return int(number)
