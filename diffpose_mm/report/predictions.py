"""Predictions of a video as arrays, read from the JSON that inference writes (or its log)."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..keypoint_sets import keypoint_set

FORMAT = 'diffpose_mm predictions 2'
MAX_JUMP = 100_000
"""Frames in a row that may be missing; a larger jump is a damaged number."""


@dataclass
class Predictions:
    """The poses of a video: F frames, P poses in all, K keypoints, N hypotheses.

    A keypoint that is missing or no number lies at (0, 0) with score 0, as in the JSON.

    Attributes:
        keypoints: K names.
        skeleton: Pairs of indices into them.
        absent: Names of keypoints that the model does not have.
        size: Width and height of a frame as shown, pixels.
        frames: (F,) numbers of the frames in the video, without jumps.
        times: (F,) seconds from the start of the video; NaN where the file has none.
        faults: Frame number to why it could not be read.
        starts: (F + 1,) the poses of frame f are those from ``starts[f]`` to ``starts[f + 1]``.
        tracks: (P,) numbers of the people; without tracking, their place in the frame.
        points: (P, K, 2) image pixels.
        scores: (P, K).
        boxes: (P, 4) x1, y1, x2, y2, image pixels.
        deviations: (P, K, 2) standard deviations over the hypotheses, image pixels, or None.
        hypotheses: (P, N, K, 2) image pixels, or None.
        fps: Frames a second on average, or None.
        is_tracked: Whether people have numbers that hold over time.
        input: What the predictions are of: ``name``, and ``bytes`` and ``digest`` of the file.
        notes: What a reader of the page has to know: what was left out, and why.
    """

    keypoints: list[str]
    skeleton: list[list[int]]
    size: tuple[int, int]
    frames: np.ndarray
    times: np.ndarray
    starts: np.ndarray
    tracks: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    deviations: np.ndarray | None = None
    hypotheses: np.ndarray | None = None
    absent: list[str] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)
    fps: float | None = None
    is_tracked: bool = True
    input: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.frames)


def read_predictions(path: str | os.PathLike, keypoints: str | None = None) -> Predictions:
    """Read the JSON of a clip, or the ``.jsonl`` that an interrupted run has left.

    Args:
        path: The file.
        keypoints: Name of the set that the poses are in, of a file that does not say it (as
            mmpose's own).

    Raises:
        ValueError: Names the file, the frame and the field that cannot be used.
        OSError: It cannot be read.
    """
    reader = _Reader(os.fspath(path))
    for place, entry in enumerate(reader.entries()):
        if place == 0:
            reader.begin(entry, keypoints)
        reader.add(entry)
    return reader.finish()


class _Reader:
    """Collects frames; every message names the file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.notes: list[str] = []
        self.sizes: list[Any] = []
        self.frames: list[int] = []
        self.times: list[float] = []
        self.latest = -math.inf
        self.counts: list[int] = []
        self.faults: dict[int, str] = {}
        self.columns: dict[str, list[np.ndarray]] = {
            name: [] for name in ('points', 'scores', 'deviations', 'boxes', 'hypotheses')
        }
        self.tracks: list[int] = []
        self.is_tracked = True
        self.extent = np.zeros(2)

    def error(self, what: str) -> ValueError:
        return ValueError(f'{self.path}: {what}')

    def entries(self) -> Iterator[dict]:
        """The frames of the file; one that is a line each is not read into memory as a whole."""
        with open(self.path, encoding='utf-8-sig') as file:
            first = file.readline().strip()
            if first == '[':
                yield from self._of_lines(file, is_log=False)
                return
            if self.path.endswith('.jsonl'):
                header = self._json(first, 1)
                if not isinstance(header, dict) or 'meta' not in header:
                    raise self.error('the first line of a log has to hold run and meta')
                self.notes.append('of a run that was interrupted: later frames are missing')
                for place, entry in enumerate(self._of_lines(file, is_log=True)):
                    yield {**header, **entry} if place == 0 else entry
                return
            file.seek(0)
            try:
                entries = json.load(file)
            except (ValueError, RecursionError) as error:
                raise self.error(
                    f'is not JSON, or was cut short ({error}); a run that was interrupted leaves '
                    'a .jsonl, which can be given'
                ) from error
        entries = entries.get('instance_info') if _is_mmpose(entries) else entries
        if not isinstance(entries, list):
            raise self.error('is not a list of frames, as infer writes for a video')
        yield from entries

    def _of_lines(self, file: Any, is_log: bool) -> Iterator[dict]:
        ended = False
        for number, line in enumerate(file, 2):
            text = line.strip()
            if text == ']' and not is_log:
                ended = True
            elif is_log and not line.endswith('\n'):
                return  # what a kill has cut short
            elif text:
                yield self._json(text.removesuffix(','), number)
        if not is_log and not ended:
            raise self.error('was cut short: its last line is not "]"')

    def _json(self, text: str, number: int) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.error(
                f'line {number} is not JSON ({error}): the file was cut short or changed'
            ) from error

    def begin(self, entry: Any, keypoints: str | None) -> None:
        """Take what the first frame says of all."""
        meta = entry.get('meta') if isinstance(entry, dict) else None
        if isinstance(meta, dict):
            if meta.get('format') != FORMAT:
                raise self.error(
                    f'its format is {meta.get("format")!r}, and this version reads {FORMAT!r}: '
                    'make it anew with infer'
                )
            try:
                self.names = [str(name) for name in meta['keypoints']]
                self.skeleton = [[int(a), int(b)] for a, b in meta['skeleton']]
            except (KeyError, TypeError, ValueError) as error:
                raise self.error('meta has no usable keypoints and skeleton') from error
        else:
            if keypoints is None:
                raise self.error(
                    'it has no meta, so the names of its keypoints are not known: give '
                    '--keypoints (coco17 for a model of COCO)'
                )
            meta, named = {}, keypoint_set(keypoints)
            self.names, self.skeleton = list(named.keypoints), named.skeleton
        if not all(0 <= place < len(self.names) for bone in self.skeleton for place in bone):
            raise self.error('meta.skeleton names a keypoint that meta.keypoints does not have')
        self.absent = [str(name) for name in meta.get('absent') or ()]
        self.size = meta.get('image_size')
        self.fps = meta.get('fps')
        run = entry.get('run')
        found = run.get('input') if isinstance(run, dict) else None
        self.input = found if isinstance(found, dict) else {}
        smoothing = run.get('smoothing') if isinstance(run, dict) else None
        if isinstance(smoothing, dict):
            self.notes.append(
                f'smoothed over time ({smoothing.get("method")}): not the poses as the model gave '
                'them, which the drawn video has'
            )

    def add(self, entry: Any) -> None:
        """Take a frame."""
        if not isinstance(entry, dict) or not isinstance(entry.get('instances'), list):
            raise self.error(f'entry {len(self.frames)} is no frame with a list of instances')
        number = entry.get('frame_id')
        if not isinstance(number, int):
            raise self.error(f'entry {len(self.frames)} has frame_id {number!r}, not a number')
        following = self.frames[-1] + 1 if self.frames else number
        if not 0 <= number - following <= MAX_JUMP:
            raise self.error(
                f'frame_id {number!r} cannot come where {following!r} or a later one was expected'
            )
        time = entry.get('time')
        time = math.nan if time is None else float(time)
        if time <= self.latest:
            raise self.error(
                f'frame {number} has time {time:g} s, which does not come after '
                f'{self.latest:g} s of a frame before'
            )
        self.latest = self.latest if math.isnan(time) else time
        if self.size is None and entry.get('image_size') is not None:
            self.size = entry['image_size']
        if entry.get('fault') is not None:
            self.faults[number] = str(entry['fault'])
        for missing in range(following, number):
            self.faults[missing] = 'is not in the predictions'
        self.frames += range(following, number + 1)
        self.times += [math.nan] * (number - following) + [time]
        self.counts += [0] * (number - following) + [len(entry['instances'])]
        for place, person in enumerate(entry['instances']):
            try:
                self._add_person(place, person, self._shrink(entry))
            except (KeyError, TypeError, ValueError) as error:
                raise self.error(
                    f'person {place} of frame {number} cannot be read: {error!r}'
                ) from error

    def _shrink(self, entry: Mapping[str, Any]) -> float:
        """A frame of another size is shown fitted into the first one's, from the corner."""
        size = entry.get('image_size')
        if size is None or self.size is None:
            return 1.0
        return min(self.size[0] / size[0], self.size[1] / size[1])

    def _add_person(self, place: int, person: Mapping[str, Any], scale: float) -> None:
        count, columns = len(self.names), self.columns
        points = np.array(person['keypoints'], np.float32).reshape(count, -1)[:, :2] * scale
        scores = np.array(person['keypoint_scores'], np.float32).reshape(count)
        known = np.isfinite(points).all(1) & np.isfinite(scores)
        columns['points'].append(np.where(known[:, None], points, 0))
        columns['scores'].append(np.where(known, scores, 0))
        box = person.get('bbox')
        if box is None:
            box = [*points[known].min(0), *points[known].max(0)] if known.any() else [0.0] * 4
        boxes = np.array(box, np.float32).reshape(4) * scale
        columns['boxes'].append(np.nan_to_num(boxes))
        if 'keypoint_std' in person:
            deviations = np.array(person['keypoint_std'], np.float32).reshape(count, 2) * scale
            columns['deviations'].append(np.nan_to_num(deviations))
        if 'hypotheses' in person:
            hypotheses = np.array(person['hypotheses'], np.float32).reshape(-1, count, 2) * scale
            columns['hypotheses'].append(np.nan_to_num(hypotheses))
        track = person.get('track_id')
        self.is_tracked &= track is not None
        self.tracks.append(place if track is None else int(track))
        if known.any():
            self.extent = np.maximum(self.extent, points[known].max(0))

    def finish(self) -> Predictions:
        """The arrays."""
        if not self.frames:
            raise self.error('holds no frame')
        if self.size is None:
            # Large enough for all; a video that is given says it better.
            width, height = (int(value) for value in np.ceil(self.extent) + 1)
            self.size = [width, height]
        count = len(self.names)
        return Predictions(
            keypoints=self.names,
            skeleton=self.skeleton,
            absent=self.absent,
            size=(int(self.size[0]), int(self.size[1])),
            frames=np.array(self.frames),
            times=np.array(self.times),
            faults=self.faults,
            starts=np.concatenate([[0], np.cumsum(self.counts)]).astype(int),
            tracks=np.array(self.tracks, int),
            points=self._stack('points', (count, 2)),
            scores=self._stack('scores', (count,)),
            boxes=self._stack('boxes', (4,)),
            deviations=self._of_all('deviations'),
            hypotheses=self._of_all('hypotheses'),
            fps=None if self.fps is None else float(self.fps),
            is_tracked=self.is_tracked,
            input=self.input,
            notes=self.notes,
        )

    def _stack(self, name: str, shape: Sequence[int]) -> np.ndarray:
        rows = self.columns[name]
        return np.stack(rows) if rows else np.zeros((0, *shape), np.float32)

    def _of_all(self, name: str) -> np.ndarray | None:
        """What all people have, or nobody; some alone is left out, and said."""
        rows = self.columns[name]
        if not rows:
            return None
        if len(rows) != len(self.tracks) or len({row.shape for row in rows}) > 1:
            self.notes.append(f'{name} are not shown: not every person has equally many')
            return None
        return np.stack(rows)


def _is_mmpose(entries: Any) -> bool:
    return isinstance(entries, dict) and isinstance(entries.get('instance_info'), list)
