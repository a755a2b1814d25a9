"""Label Studio: a task a frame, with the poses as predictions to be corrected; read back."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..files import atomic_write, read_json
from ..keypoint_sets import find_keypoint_set, keypoint_set
from .coco import frame_name
from .folders import fresh_folder, write_json
from .table import NO_TRACK, PoseTable, TableBuilder

FILES = ('tasks.json', 'config.xml')

MODEL_VERSION = 'diffpose_mm'
POINT_WIDTH = 0.5
"""Of a drawn keypoint, percent of the image's width."""


def write_label_studio(table: PoseTable, folder: Path, stem: str) -> None:
    """Write ``tasks.json`` and ``config.xml``, the labels of a project that takes them.

    A person is a rectangle, whose text is its track, and its keypoints are within it, labelled by
    their names. Coordinates are percent of the image. Pictures are those of :func:`frame_name` in
    a folder that Label Studio serves (local files).

    Args:
        table: The poses; the size of the frames has to be known.
        folder: Where to.
        stem: Name of the folder of pictures.

    Raises:
        OSError: It cannot be written.
    """
    fresh_folder(folder, FILES[0])
    tasks = []
    for number, poses in table.by_frame():
        regions: list[dict] = []
        for pose in poses:
            regions += _regions(table, pose)
        prediction: dict[str, Any] = dict(model_version=MODEL_VERSION, result=regions)
        if len(poses):
            prediction['score'] = float(np.mean([table.pose_score(pose) for pose in poses]))
        picture = f'/data/local-files/?d={frame_name(stem, number)}'
        data = dict(image=picture, frame_id=number, time=table.time_of(number))
        tasks.append(dict(data=data, predictions=[prediction]))
    write_json(folder / FILES[0], tasks)
    with atomic_write(folder / FILES[1]) as file:
        file.write(config_of(table))


def config_of(table: PoseTable) -> str:
    """The labelling configuration: the names of the keypoints, and a person."""
    view = ElementTree.Element('View')
    ElementTree.SubElement(view, 'Image', name='image', value='$image', zoom='true')
    boxes = ElementTree.SubElement(view, 'RectangleLabels', name='people', toName='image')
    ElementTree.SubElement(boxes, 'Label', value='person')
    points = ElementTree.SubElement(view, 'KeyPointLabels', name='keypoints', toName='image')
    there = [name for name in table.keypoints if name not in table.absent]
    for place, name in enumerate(
        there
    ):  # the order of its export to COCO, which is refused without
        ElementTree.SubElement(points, 'Label', value=name, model_index=str(place))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding='unicode') + '\n'


def _regions(table: PoseTable, pose: int) -> list[dict]:
    frame, track = int(table.frame[pose]), int(table.track[pose])
    width, height = table.size_of(frame) or (0, 0)
    percent = 100 / np.array([width, height, width, height])
    shared = dict(original_width=width, original_height=height, image_rotation=0, to_name='image')
    person = f'f{frame}p{pose}'
    regions = []
    box = table.box_of(pose) * percent
    if np.isfinite(box).all():
        # Only within the picture can a rectangle be drawn.
        x1, y1, x2, y2 = np.clip(box, 0, 100).tolist()
        value = dict(x=x1, y=y1, width=x2 - x1, height=y2 - y1, rotation=0)
        region = dict(
            **shared,
            id=person,
            from_name='people',
            type='rectanglelabels',
            value=dict(**value, rectanglelabels=['person']),
            score=table.pose_score(pose),
        )
        if track != NO_TRACK:
            region['meta'] = dict(text=[f'track {track}'])
        regions.append(region)
    for joint in np.flatnonzero(table.present_of(pose)).tolist():
        x, y = (table.points[pose, joint] * percent[:2]).tolist()
        name = table.keypoints[joint]
        region = dict(
            **shared,
            id=f'{person}k{joint}',
            from_name='keypoints',
            type='keypointlabels',
            value=dict(x=x, y=y, width=POINT_WIDTH, keypointlabels=[name]),
        )
        if regions and regions[0]['id'] == person:
            region['parentID'] = person
        if np.isfinite(table.scores[pose, joint]):
            region['score'] = float(table.scores[pose, joint])
        regions.append(region)
    return regions


def read_label_studio(path: str | os.PathLike, keypoints: str | None = None) -> PoseTable:
    """Read tasks of one video: its export as JSON, after correction, or what was written for it.

    Of a task the last annotation that was not skipped counts, else the last prediction. A person is
    a rectangle, joints are those within it (``parentID``); where there is one person, also those
    that are nowhere. The number of a frame is ``data.frame_id``, else that in the picture's name.

    Args:
        path: The file, or the folder of :func:`write_label_studio`.
        keypoints: Name of the set that the poses are in. Default: the labels of ``config.xml``
            beside the file, else those that occur.

    Raises:
        ValueError: Names the file, the task and the field.
        OSError: It cannot be read.
    """
    file = Path(path)
    file = file / FILES[0] if file.is_dir() else file
    try:
        tasks = read_json(file)
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise ValueError('is not a list of tasks: export from Label Studio as JSON')
        return _table(tasks, _names(tasks, file, keypoints))
    except (ValueError, TypeError, KeyError) as error:
        what = f'{error} is missing' if isinstance(error, KeyError) else error
        raise ValueError(f'{file}: {what}') from error


def _names(tasks: list[dict], file: Path, keypoints: str | None) -> tuple[str, ...]:
    if keypoints is not None:
        return keypoint_set(keypoints).keypoints
    beside = file.with_name(FILES[1])
    if beside.is_file():
        try:
            labels = ElementTree.parse(beside).iterfind('.//KeyPointLabels/Label')
            return tuple(label.attrib['value'] for label in labels)
        except ElementTree.ParseError as error:
            raise ValueError(f'{beside.name} beside it is not XML ({error})') from error
    seen = (_label(region) for task in tasks for region in _result(task) if _is_joint(region))
    names = tuple(dict.fromkeys(seen))
    if not names:
        raise ValueError('has no joints, so their names are not known: give --keypoints')
    return names


def _result(task: dict) -> list[dict]:
    """The regions of a task that count."""
    done = [a for a in task.get('annotations') or () if not a.get('was_cancelled')]
    found = (done or task.get('predictions') or [{}])[-1].get('result') or []
    return [region for region in found if isinstance(region.get('value'), dict)]


def _is_joint(region: dict) -> bool:
    return 'keypointlabels' in region['value']


def _label(region: dict) -> str:
    return str(region['value']['keypointlabels'][0])


def _table(tasks: list[dict], names: tuple[str, ...]) -> PoseTable:
    numbers = [_frame_of(task) for task in tasks]
    builder = TableBuilder(names)
    sizes: dict[int, tuple[int, int]] = {}
    for place in np.argsort(numbers, kind='stable').tolist():
        task, number = tasks[place], numbers[place]
        builder.add_frame(number, task['data'].get('time'))
        regions = _result(task)
        for region in regions:
            sizes[number] = int(region['original_width']), int(region['original_height'])
        try:
            _add_people(builder, regions)
        except ValueError as error:
            raise ValueError(f'frame {number}: {error}') from error
    known = find_keypoint_set(names)
    size = sizes[min(sizes)] if sizes else None
    return builder.table(
        skeleton=() if known is None else tuple((a, b) for a, b in known.skeleton),
        absent=builder.never_there(),
        image_size=size,
        frame_sizes={number: own for number, own in sizes.items() if own != size},
    )


def _frame_of(task: dict) -> int:
    data = task['data']
    if isinstance(data.get('frame_id'), int):
        return data['frame_id']
    picture = str(data.get('image', ''))
    found = re.search(r'(\d+)\.\w+$', picture)
    if found is None:
        raise ValueError(f'the picture {picture!r} has no number of a frame, nor has data.frame_id')
    return int(found[1])


def _add_people(builder: TableBuilder, regions: list[dict]) -> None:
    people = {r.get('id'): r for r in regions if 'rectanglelabels' in r['value']} or {None: {}}
    joints: dict[Any, list[dict]] = {person: [] for person in people}
    for region in filter(_is_joint, regions):
        owner = region.get('parentID')
        if owner not in joints:
            if len(joints) > 1:
                raise ValueError(
                    f'the joint {_label(region)!r} is in no rectangle of a person: drag it there '
                    'in the list of regions'
                )
            (owner,) = joints
        joints[owner].append(region)
    for person, own in joints.items():
        values = np.full((len(builder.keypoints), 3), np.nan)
        for region in own:
            name = _label(region)
            if name not in builder.keypoints:
                raise ValueError(f'{name!r} is none of the keypoints: give --keypoints')
            scale = _size(region) / 100
            place = np.array([region['value']['x'], region['value']['y']]) * scale
            values[builder.keypoints.index(name)] = *place, region.get('score', 1.0)
        box = _box(people[person]) if people[person] else None
        if own or box:
            builder.add_pose(values[:, :2], values[:, 2], _track(people[person]), box=box)


def _size(region: dict) -> np.ndarray:
    return np.array([region['original_width'], region['original_height']], np.float64)


def _box(region: dict) -> list[float]:
    value = region['value']
    start = np.array([value['x'], value['y']]) * _size(region) / 100
    side = np.array([value['width'], value['height']]) * _size(region) / 100
    return [*start, *(start + side)]


def _track(region: dict) -> int | None:
    text = (region.get('meta') or {}).get('text') or ()
    text = ' '.join(map(str, [text] if isinstance(text, str) else text))
    found = re.search(r'track (\d+)', text)
    return int(found[1]) if found else None
