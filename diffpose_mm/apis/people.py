"""Who is in a frame: boxes given, detected or the whole image, and their tracks over time."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from mmpose.apis import _track_by_iou, _track_by_oks
from mmpose.apis.inferencers.utils import default_det_models
from mmpose.evaluation.functional import nms

from ..engine.checkpoint import read_checkpoint
from ..requirements import check_detector_library

WHOLE_IMAGE = ('whole_image', 'whole-image')


@dataclass
class Person:
    """One person of one frame.

    Attributes:
        box: (4,) x1, y1, x2, y2 in image pixels, float32.
        score: Of the box.
        track_id: The same number in all frames, or None.
        later: Boxes of the same track in the frames that follow, as far as they are known
            already, by frame number.
    """

    box: np.ndarray
    score: float = 1.0
    track_id: int | None = None
    later: Mapping[int, np.ndarray] = field(default_factory=dict)


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
        self.boxes = boxes

    def digest(self) -> str:
        """A short name that other boxes have not."""
        entries = self.boxes.items() if isinstance(self.boxes, Mapping) else self.boxes
        text = json.dumps(list(entries), default=lambda array: np.asarray(array).tolist())
        return hashlib.sha1(text.encode()).hexdigest()[:8]

    def __call__(self, frame_id: int, shape: tuple[int, ...]) -> list[Person]:
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
            if _inside(person.box, shape, f'bboxes of frame {frame_id}, box {index}')
        ]


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
        return [
            Person(box, float(score), None if tracks is None else int(track))
            for box, score, track in zip(array[:, :4], scores, tracks or [None] * len(array))
        ]
    except (TypeError, ValueError) as error:
        raise ValueError(f'{where}: scores and track_ids have to be numbers ({error})') from error


def _inside(box: np.ndarray, shape: tuple[int, ...], where: str) -> bool:
    height, width = shape[:2]
    if box[0] < width and box[1] < height and box[2] > 0 and box[3] > 0:
        return True
    print_log(
        f'{where} {box.tolist()} lies outside the {width}x{height} image: left out',
        logger='current',
        level=logging.WARNING,
    )
    return False


def whole_image(frame: np.ndarray) -> list[Person]:
    """One person as large as the frame."""
    height, width = frame.shape[:2]
    return [Person(np.array([0, 0, width, height], dtype=np.float32))]


class PersonDetector:
    """mmdet's inferencer, built when it is first needed; it sees frames in batches.

    Args:
        model: A config (path or object), or an alias or name of mmdet. None takes the config in
            ``weights``, and without these mmpose's choice for people, RTMDet-m, whose weights are
            downloaded.
        weights: Its checkpoint.
        cat_ids: The labels that mean people. None is label 0, as in COCO.
        device: Where it runs.
    """

    def __init__(
        self,
        model: Any = None,
        weights: str | None = None,
        cat_ids: int | Sequence[int] | None = None,
        device: str | None = None,
    ) -> None:
        if model is None and weights is None:
            default = default_det_models['human']
            model, weights = default['model'], default['weights']
        self.model, self.weights, self.device = model, weights, device
        cat_ids = 0 if cat_ids is None else cat_ids
        self.cat_ids = tuple(cat_ids) if isinstance(cat_ids, (list, tuple)) else (cat_ids,)
        self._inferencer: Any = None

    def __str__(self) -> str:
        model = self.model if isinstance(self.model, str) else 'a Config'
        return f'{model} with weights {self.weights} and labels {self.cat_ids}'

    def _build(self) -> Any:
        """Raises ValueError with what else to do."""
        scope = 'mmdet'
        try:
            # Asked for here, so that boxes given by hand need no mmdet.
            check_detector_library()
            from mmdet.apis import DetInferencer

            if self.weights is not None:
                read_checkpoint(self.weights)
            model = self.model
            if isinstance(model, str) and model.endswith('.py'):
                model = Config.fromfile(model)
            if isinstance(model, Config):
                scope = model.get('default_scope', scope)
            return DetInferencer(
                model=model,
                weights=self.weights,
                device=self.device,
                scope=scope,
                show_progress=False,
            )
        except Exception as error:
            raise ValueError(
                f'the person detector det_model={self.model!r}, det_weights={self.weights!r} '
                f'cannot be built: {str(error) or type(error).__name__}. Give another det_model '
                "and det_weights, or bboxes=, or det_model='whole_image'"
            ) from error

    def __call__(
        self, frames: Sequence[np.ndarray], bbox_thr: float, nms_thr: float
    ) -> list[list[Person]]:
        """The people of each frame, best first.

        Args:
            frames: HxWx3 BGR.
            bbox_thr: Boxes need a higher score.
            nms_thr: IoU above which the lesser of two boxes is left out.
        """
        if self._inferencer is None:
            self._inferencer = self._build()
        outputs = self._inferencer(list(frames), batch_size=len(frames), return_datasamples=True)[
            'predictions'
        ]
        people = []
        for output in outputs:
            instances = output.pred_instances.cpu().numpy()
            boxes = np.concatenate((instances.bboxes, instances.scores[:, None]), axis=1)
            boxes = boxes[np.isin(instances.labels, self.cat_ids) & (instances.scores > bbox_thr)]
            # An empty array has no rows to suppress.
            boxes = boxes[nms(boxes, nms_thr)] if len(boxes) else boxes
            sides = boxes[:, 2:4] - boxes[:, :2]
            people.append(
                [Person(b[:4].astype(np.float32), float(b[4])) for b in boxes[sides.min(1) > 0]]
            )
        return people


class Tracker:
    """Numbers people over time with mmpose's greedy IoU or OKS matching.

    Args:
        thr: Least similarity of a match. Defaults to 0.3.
        by_oks: Compare keypoints in place of boxes. Defaults to False.
        max_gap: A track may be missed for so many frames. Defaults to 5.
        sigmas: Of the keypoints, for OKS.
    """

    def __init__(
        self,
        thr: float = 0.3,
        by_oks: bool = False,
        max_gap: int = 5,
        sigmas: np.ndarray | None = None,
    ) -> None:
        self.thr = thr
        self.by_oks = by_oks
        self.max_gap = max_gap
        self.sigmas = sigmas
        self.next_id = 0
        self._tracks: list[SimpleNamespace] = []

    def __call__(self, people: Sequence[Person], poses: Sequence[Any] | None = None) -> None:
        """Give ``track_id`` to the people of the next frame, in place.

        Args:
            people: Of this frame. Those that come with a number keep it.
            poses: Their data samples, which OKS needs.
        """
        self._tracks = [t for t in self._tracks if t.unseen < self.max_gap]
        for track in self._tracks:
            track.unseen += 1
        matched = []
        for index, person in enumerate(people):
            entry = self._entry(person, None if poses is None else poses[index])
            if person.track_id is None:
                if self.by_oks:
                    number, self._tracks, _ = _track_by_oks(
                        entry, self._tracks, self.thr, self.sigmas
                    )
                else:
                    number, self._tracks, _ = _track_by_iou(entry, self._tracks, self.thr)
                person.track_id = self.next_id if number == -1 else number
            else:
                self._tracks = [t for t in self._tracks if t.track_id != person.track_id]
            self.next_id = max(self.next_id, person.track_id + 1)
            entry.track_id = person.track_id
            matched.append(entry)
        self._tracks += matched

    @staticmethod
    def _entry(person: Person, pose: Any) -> SimpleNamespace:
        instances = SimpleNamespace(bboxes=person.box[None])
        if pose is not None:
            x1, y1, x2, y2 = person.box
            instances.keypoints = pose.pred_instances.keypoints
            instances.keypoint_scores = pose.pred_instances.keypoint_scores
            instances.areas = np.array([(x2 - x1) * (y2 - y1)])
        return SimpleNamespace(pred_instances=instances, unseen=0)
