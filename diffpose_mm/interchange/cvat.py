"""CVAT for video 1.1: people as tracks of skeletons, to be corrected; read back."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ..files import atomic_write
from ..keypoint_sets import find_keypoint_set, keypoint_set
from .table import PoseTable, TableBuilder

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
        there = table.present_of(pose)[joints]
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


def read_cvat(path: str | os.PathLike, keypoints: str | None = None) -> PoseTable:
    """Read tracks of skeletons, as CVAT exports them or as :func:`write_cvat` does.

    Joints that are ``outside`` are missing; what CVAT has interpolated counts. Labels are certain,
    so all scores are 1.

    Args:
        path: The XML.
        keypoints: Name of a set that gives the order of the joints. Default: that of the labels in
            the file.

    Raises:
        ValueError: Names the file, the track and the frame.
        OSError: It cannot be read.
    """
    try:
        root = ElementTree.parse(path).getroot()
        return _table(root, keypoints)
    except ElementTree.ParseError as error:
        raise ValueError(f'{path}: is not XML, or was cut short ({error})') from error
    except (ValueError, KeyError) as error:
        what = f'an element has no {error}' if isinstance(error, KeyError) else error
        raise ValueError(f'{path}: {what}') from error


def _table(root: ElementTree.Element, keypoints: str | None) -> PoseTable:
    tracks = [track for track in root.iter('track') if track.find('skeleton') is not None]
    if not tracks:
        raise ValueError('has no track with a skeleton: export as "CVAT for video 1.1"')
    listed = [e.findtext('name') or '' for e in root.iter('label') if e.find('parent') is not None]
    found = [point.attrib['label'] for track in tracks for point in track.iter('points')]
    names = list(dict.fromkeys([*listed, *found]))
    if keypoints is not None:
        chosen = keypoint_set(keypoints).keypoints
        if set(names) - set(chosen):
            unknown = ', '.join(sorted(set(names) - set(chosen)))
            raise ValueError(f'not in {keypoints}: {unknown}')
        names = list(chosen)
    people: dict[int, list[tuple[int, np.ndarray]]] = {}
    for place, track in enumerate(tracks):
        number = int(track.get('id', place))
        for skeleton in track.iter('skeleton'):
            points = _points(skeleton, names)
            if np.isfinite(points).any():
                people.setdefault(int(skeleton.attrib['frame']), []).append((number, points))
    size = root.findtext('.//meta//size')
    last = max([*people, *([int(size) - 1] if size and size.isdigit() else [])], default=-1)
    builder = TableBuilder(names)
    for frame in range(last + 1):
        builder.add_frame(frame)
        for number, points in people.get(frame, ()):
            builder.add_pose(points, np.where(np.isfinite(points[:, 0]), 1.0, np.nan), number)
    sides = [root.findtext(f'.//original_size/{side}') for side in ('width', 'height')]
    known = find_keypoint_set(names)
    return builder.table(
        skeleton=() if known is None else tuple((a, b) for a, b in known.skeleton),
        absent=builder.never_there(),
        image_size=(int(sides[0]), int(sides[1])) if sides[0] and sides[1] else None,
    )


def _points(skeleton: ElementTree.Element, names: list[str]) -> np.ndarray:
    points = np.full((len(names), 2), np.nan)
    for point in skeleton.iter('points'):
        if point.get('outside') != '1':
            x, y = point.attrib['points'].split(',')
            points[names.index(point.attrib['label'])] = float(x), float(y)
    return points
