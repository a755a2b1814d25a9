"""CVAT for video 1.1: people as tracks of skeletons, to be corrected."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ..files import atomic_write
from .table import PoseTable

LABEL = 'person'


def write_cvat(table: PoseTable, path: Path) -> None:
    """Write the XML.

    Every frame is a keyframe, so that nothing is interpolated. A keypoint that is missing is
    ``outside``, at the place that it had last; so is a whole person in the first frame of a gap.
    The task has to have a skeleton that is called ``person``, with points of the same names.

    Args:
        table: The poses; the size of the frames has to be known.
        path: The file.

    Raises:
        OSError: It cannot be written.
    """
    table = table.with_all_tracks()
    root = ElementTree.Element('annotations')
    _add(root, 'version', '1.1')
    task = _add(_add(root, 'meta'), 'task')
    _add(task, 'name', table.input.get('name', path.stem))
    _add(task, 'size', str(table.num_frames))
    _add(task, 'mode', 'interpolation')
    labels = _add(task, 'labels')
    names = [name for name in table.keypoints if name not in table.absent]
    _add_label(labels, LABEL, 'skeleton')
    for name in names:
        _add(_add_label(labels, name, 'points'), 'parent', LABEL)
    if table.image_size:
        size = _add(task, 'original_size')
        for side, value in zip(('width', 'height'), table.image_size):
            _add(size, side, str(value))
    for number, poses in table.by_track():
        track = ElementTree.SubElement(root, 'track', id=str(number), label=LABEL, source='auto')
        _add_track(track, table, poses, names)
    ElementTree.indent(root)
    with atomic_write(path, 'wb') as file:
        ElementTree.ElementTree(root).write(file, encoding='utf-8', xml_declaration=True)


def _add(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, name)
    element.text = text
    return element


def _add_label(labels: ElementTree.Element, name: str, kind: str) -> ElementTree.Element:
    label = _add(labels, 'label')
    _add(label, 'name', name)
    _add(label, 'type', kind)
    _add(label, 'attributes')
    return label


def _add_track(
    track: ElementTree.Element, table: PoseTable, poses: np.ndarray, names: list[str]
) -> None:
    joints = [table.keypoints.index(name) for name in names]
    last = np.zeros((len(names), 2))
    for place, pose in enumerate(poses.tolist()):
        there = table.present[pose][joints]
        points = table.points[pose][joints]
        last = np.where(there[:, None], points, last)
        frame = int(table.frame[pose])
        _add_skeleton(track, frame, names, last, there)
        following = table.frame[poses[place + 1]] if place + 1 < len(poses) else table.num_frames
        if following > frame + 1:
            _add_skeleton(track, frame + 1, names, last, np.zeros(len(names), bool))


def _add_skeleton(
    track: ElementTree.Element, frame: int, names: list[str], points: np.ndarray, there: np.ndarray
) -> None:
    skeleton = ElementTree.SubElement(
        track, 'skeleton', frame=str(frame), keyframe='1', z_order='0'
    )
    for name, (x, y), visible in zip(names, points.tolist(), there.tolist()):
        ElementTree.SubElement(
            skeleton,
            'points',
            label=name,
            outside=str(int(not visible)),
            occluded='0',
            keyframe='1',
            points=f'{x:.3f},{y:.3f}',
        )
