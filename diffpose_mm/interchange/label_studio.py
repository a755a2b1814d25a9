"""Label Studio: a task a frame, with the poses as predictions to be corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..files import atomic_write
from .coco import frame_name
from .folders import fresh_folder, write_json
from .table import NO_TRACK, PoseTable

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
    fresh_folder(folder, 'tasks.json')
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
    write_json(folder / 'tasks.json', tasks)
    with atomic_write(folder / 'config.xml') as file:
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
    for joint in np.flatnonzero(table.present[pose]).tolist():
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
