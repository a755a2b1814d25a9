"""Boxes that the user gives, checked frame by frame."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .people import Person


class GivenBoxes:
    """The boxes that the user gives, checked frame by frame.

    Args:
        boxes: A sequence with one entry a frame, or a mapping from frame number to entry, where
            frames that are missing have no people. An entry is (N, 4) boxes x1, y1, x2, y2, or
            (N, 5) with a score, or a dict of ``bboxes`` and optionally ``scores`` and
            ``track_ids``, or a list of instances as the predictions have them.
    """

    def __init__(self, boxes: Sequence | Mapping) -> None:
        if not isinstance(boxes, (Mapping, Sequence, np.ndarray)) or isinstance(boxes, str):
            raise TypeError(
                'bboxes has to be a list with one entry a frame, or a dict from frame number to '
                f'entry, got {type(boxes).__name__}'
            )
        if isinstance(boxes, Mapping):
            boxes = {_frame_number(key): entry for key, entry in boxes.items()}
        self.boxes = boxes
        # What is wrong in the last frame is said before the first.
        for number, entry in boxes.items() if isinstance(boxes, Mapping) else enumerate(boxes):
            try:
                _parse(entry, number)
            except (TypeError, OverflowError) as error:
                raise ValueError(f'bboxes of frame {number} cannot be read: {error}') from error

    slow = False

    def prepare(self) -> None:
        """There is nothing to build."""

    def identity(self) -> dict:
        """Hash that identifies these boxes."""
        entries = self.boxes.items() if isinstance(self.boxes, Mapping) else self.boxes
        text = json.dumps(list(entries), default=lambda array: np.asarray(array).tolist())
        return dict(kind='given boxes', digest=hashlib.sha1(text.encode()).hexdigest()[:16])

    def __call__(self, indices: Sequence[int], images: Sequence[np.ndarray]) -> list[list[Person]]:
        """The people of each frame, see :class:`PeopleFinder`."""
        return [self.of(index, image.shape) for index, image in zip(indices, images)]

    def of(self, frame_id: int, shape: tuple[int, ...]) -> list[Person]:
        """The people of frame ``frame_id``, whose image has ``shape``.

        A box that lies wholly outside the image is left out with a warning; one that sticks out of
        it stays as it is.

        Raises:
            ValueError: No entry for the frame, or one that is not boxes.
        """
        if isinstance(self.boxes, Mapping):
            entry = self.boxes.get(frame_id, ())
        elif frame_id < len(self.boxes):
            entry = self.boxes[frame_id]
        else:
            raise ValueError(
                f'bboxes has {len(self.boxes)} entries, but the input has a frame {frame_id}: give '
                'an entry for every frame ([] for none), or a dict from frame number to boxes'
            )
        return [
            person
            for index, person in enumerate(_parse(entry, frame_id))
            if self._inside(person.box, shape, f'bboxes of frame {frame_id}, box {index}')
        ]

    def _inside(self, box: np.ndarray, shape: tuple[int, ...], where: str) -> bool:
        height, width = shape[:2]
        if box[0] < width and box[1] < height and box[2] > 0 and box[3] > 0:
            return True
        self.warn(f'{where} {box.tolist()} lies outside the {width}x{height} image: left out')
        return False

    def warn(self, message: str) -> None:
        """Say what is left out."""
        logging.getLogger(__name__).warning(message)


def _frame_number(key: Any) -> int:
    try:
        number = int(key)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if isinstance(key, bool) or number < 0 or float(key) != number:
        raise ValueError(f'bboxes: the key {key!r} is no frame number (0, 1, 2, ...)')
    return number


def _parse(entry: Any, frame_id: int) -> list[Person]:
    where = f'bboxes of frame {frame_id}'
    if not isinstance(entry, (Mapping, Sequence, np.ndarray)):
        raise ValueError(f'{where} are {entry!r}; give [[x1, y1, x2, y2], ...], or [] for nobody')
    if isinstance(entry, Mapping):
        unknown = set(entry) - {'bboxes', 'scores', 'track_ids'}
        if unknown or 'bboxes' not in entry:
            raise ValueError(
                f'{where} is a dict of {sorted(entry)}; it takes bboxes, scores, track_ids'
            )
        boxes, scores, tracks = (entry.get(k) for k in ('bboxes', 'scores', 'track_ids'))
    elif len(entry) and isinstance(entry[0], Mapping):
        if not all(isinstance(instance, Mapping) and 'bbox' in instance for instance in entry):
            raise ValueError(f'{where}: an instance has no bbox')
        boxes = [np.asarray(instance['bbox']).reshape(-1)[:4] for instance in entry]
        scores = [instance.get('bbox_score', 1.0) for instance in entry]
        tracks = [instance.get('track_id') for instance in entry]
        tracks = None if None in tracks else tracks
    else:
        boxes, scores, tracks = entry, None, None
    try:
        array = np.asarray(boxes, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{where} are not numbers in rows of equal length: {boxes!r}') from error
    if array.size == 0:
        return []
    if array.ndim != 2 or array.shape[1] not in (4, 5):
        raise ValueError(
            f'{where} have shape {array.shape}; give (N, 4) as x1, y1, x2, y2, or (N, 5) with a '
            'score'
        )
    if scores is None:
        scores = array[:, 4] if array.shape[1] == 5 else np.ones(len(array))
    for name, values in (('scores', scores), ('track_ids', tracks)):
        if values is not None and len(values) != len(array):
            raise ValueError(f'{where}: {len(values)} {name} for {len(array)} boxes')
    if tracks is not None and len(set(tracks)) != len(tracks):
        raise ValueError(f'{where}: track_ids {list(tracks)} name a person twice')
    for index, box in enumerate(array[:, :4]):
        if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
            raise ValueError(
                f'{where}, box {index} is {box.tolist()}: x1 < x2 and y1 < y2 are needed, in pixels'
            )
    try:
        scores = [float(score) for score in scores]
        if tracks is not None and any(int(track) != float(track) for track in tracks):
            raise ValueError(f'{tracks} are no whole numbers')
        people = [
            Person(box, score, None if tracks is None else int(track))
            for box, score, track in zip(array[:, :4], scores, tracks or [None] * len(array))
        ]
    except (TypeError, ValueError) as error:
        raise ValueError(f'{where}: scores and track_ids have to be numbers ({error})') from error
    if not np.isfinite(scores).all():
        raise ValueError(f'{where}: scores {scores} have to be finite numbers')
    return people


def read_boxes(path: str) -> dict[int, Any] | list:
    """Read boxes from JSON.

    Args:
        path: See the help of ``infer``. Predictions of a video may be mmpose's, an object with
            ``instance_info``.

    Raises:
        ValueError: Not JSON, or nothing of that kind.
    """
    try:
        with open(path, encoding='utf-8') as file:
            boxes = json.load(file)
    except OSError as error:
        raise type(error)(f'boxes file {path} cannot be read: {error.strerror}') from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f'boxes file {path} is not JSON: {error}') from error
    if not isinstance(boxes, (dict, list)):
        raise ValueError(f'boxes file {path} holds {type(boxes).__name__}, not a list or object')
    shift = 0
    if isinstance(boxes, dict) and isinstance(boxes.get('instance_info'), list):
        boxes = boxes['instance_info']
        if boxes and isinstance(boxes[0], dict) and boxes[0].get('frame_id') == 1:
            shift = 1  # the frames of mmpose's demo are counted from 1
    pairs: Iterable | None = boxes.items() if isinstance(boxes, dict) else None
    video = {'frame_id', 'instances'}
    if boxes and all(isinstance(entry, dict) and video <= entry.keys() for entry in boxes):
        pairs = [(entry['frame_id'], entry['instances']) for entry in boxes]
    if pairs is None:
        return boxes
    try:
        return {_frame_number(frame) - shift: entry for frame, entry in pairs}
    except ValueError as error:
        raise ValueError(f'boxes file {path}: a key is no frame number ({error})') from error
