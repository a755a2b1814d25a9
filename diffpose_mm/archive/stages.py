"""The passes over a video, or a stretch of one, in a worker: people, poses, or both at once.

    whole:    frames -> people -> tracks -> windows -> poses
    stretch:  frames -> people          (then the joiner, over all stretches: tracks)
              frames -> windows -> poses

The passes are those of :mod:`..apis.pipeline`. Frames are decoded in a thread of their own, a few
ahead and no more. What a pass gives is a list of entries that JSON can hold without loss.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from diffpose_mm_runtime.people import Person
from diffpose_mm_runtime.streams import StreamState

from ..apis import pipeline
from ..apis.frame_source import frame_name
from ..apis.prefetch import prefetch
from ..apis.records import Result
from ..apis.tracker import Tracker
from ..apis.windows import Frame
from ..files import atomic_write
from ..video_reader import VideoFrame
from .engine import Engine, Settings
from .places import Places, WatchedFinder, WatchedPoser
from .plan import Plan
from .stretch_reader import picture_digest, read_frames

DEPTH = 4
"""Frames that are decoded ahead."""


@dataclass(frozen=True)
class PoseTask:
    """A stretch to be posed.

    Attributes:
        first, end: Keyframes whose poses are wanted; ``end`` is None at the end of the video.
        lead: Keyframe to begin at, whose poses and those up to ``first`` are not wanted.
        people: Of every frame that a window of these sees, see :func:`people_entry`.
        state: What a stream remembers at ``lead``; None where frames are not streamed.
    """

    first: int
    end: int | None
    lead: int
    people: Sequence[dict]
    state: StreamState | None


def watched(frames: Iterable[VideoFrame], first: int, places: Places) -> Iterator[VideoFrame]:
    """Frames; ``places`` knows at any time which one is being decoded."""
    iterator, number = iter(frames), first
    while True:
        with places.within('decode', number):
            frame = next(iterator, None)
        if frame is None:
            return
        number = frame.number + 1
        yield frame


def as_frames(frames: Iterable[VideoFrame], fps: float | None) -> Iterator[Frame]:
    """Frames as the pipeline has them, named and timed as by a run on the whole video."""
    for shot in frames:
        time = shot.number / fps if shot.time is None and fps else shot.time
        yield Frame(shot.number, frame_name(shot.number), shot.image, time, shot.fault)


def people_entry(frame: Frame) -> dict[str, Any]:
    """What the joiner has to know of a frame."""
    return dict(
        frame_id=frame.index,
        time=frame.time,
        fault=frame.fault,
        shape=None if frame.shape is None else list(frame.shape),
        bboxes=[np.asarray(p.box, np.float32).tolist() for p in frame.people],
        scores=[float(p.score) for p in frame.people],
        track_ids=[p.track_id for p in frame.people],
    )


def people_of(entry: dict[str, Any]) -> list[Person]:
    """The people of an entry."""
    return [
        Person(np.asarray(box, np.float32), score, track)
        for box, score, track in zip(entry['bboxes'], entry['scores'], entry['track_ids'])
    ]


def pose_entry(result: Result) -> dict[str, Any]:
    """A frame with its poses, as the JSON of predictions has it, and the size of its picture."""
    shape = result.frame.shape
    entry = dict(result.frame_info(), size=None if shape is None else [shape[1], shape[0]])
    return dict(entry, instances=result.instances())


def tracker_of(settings: Settings) -> Tracker:
    """A new tracker."""
    sigmas = None if settings.sigmas is None else np.asarray(settings.sigmas)
    present = None if settings.present is None else np.asarray(settings.present)
    return Tracker(settings.tracking_thr, settings.by_oks, sigmas=sigmas, present=present)


def pose_whole(engine: Engine, plan: Plan, places: Places) -> Iterator[dict]:
    """The poses of a video that is not cut.

    Raises:
        ValueError: No frame could be read, or the video cannot be.
    """
    settings, keypoints = engine.settings, engine.keypoints
    tracker = tracker_of(settings)
    if plan.first == 0:
        # Nothing is entered in its middle: gaps are counted from the start.
        plan = replace(plan, from_start='not cut')
    end = plan.end if plan.entry.trimmed else None
    read = watched(read_frames(plan, plan.first, end), plan.first, places)
    with ExitStack() as stack:

        def threaded(items: Any, depth: int) -> Any:
            return stack.enter_context(closing(prefetch(items, depth)))

        frames = threaded(as_frames(read, plan.fps), DEPTH)
        frames = pipeline.with_people(
            frames, WatchedFinder(engine.finder, places), settings.batch_size
        )
        if not settings.by_oks:
            frames = pipeline.tracked(frames, tracker)
        windows = pipeline.windowed(frames, settings.offsets, settings.mode)
        if engine.finder.slow:
            windows = threaded(windows, settings.batch_size)
        results = pipeline.posed(
            windows,
            WatchedPoser(engine.make_poser(None), places),
            settings.batch_size,
            settings.mode,
            keypoints,
        )
        results = pipeline.numbered_people(results, tracker if settings.by_oks else None)
        readable = 0
        for result in pipeline.merged(results, keypoints, False):
            readable += result.frame.fault is None
            places.passed()
            yield pose_entry(result)
    if not readable:
        raise ValueError(f'{plan.entry.path}: no frame could be read')


def find_stretch(
    engine: Engine, plan: Plan, first: int, end: int | None, places: Places
) -> Iterator[dict]:
    """The people of a stretch, and of one frame more a digest, by which the next one is checked.

    The first entry has the digest of its picture in ``seen``; where a stretch follows, a last
    entry has nothing but ``frame_id`` and ``seen`` of that one's first frame.
    """
    read = watched(read_frames(plan, first, _limit(plan, end, 1)), first, places)
    after: list[dict] = []

    def own(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if end is not None and frame.index >= end:
                image = frame.image if isinstance(frame.image, np.ndarray) else None
                after.append(dict(frame_id=frame.index, seen=picture_digest(image)))
                return
            yield frame

    with closing(prefetch(as_frames(read, plan.fps), DEPTH)) as decoded:
        frames = pipeline.with_people(
            own(decoded), WatchedFinder(engine.finder, places), engine.settings.batch_size
        )
        for number, frame in enumerate(frames):
            entry = people_entry(frame)
            if number == 0:
                image = frame.image if isinstance(frame.image, np.ndarray) else None
                entry['seen'] = picture_digest(image)
            places.passed()
            yield entry
    yield from after


def _limit(plan: Plan, end: int | None, more: int) -> int | None:
    """The frame before which reading ends: ``more`` after the stretch, or None at the end."""
    if not plan.entry.trimmed:
        return None if end is None else end + more
    return plan.end if end is None else min(end + more, plan.end)


def pose_stretch(engine: Engine, plan: Plan, task: PoseTask, places: Places) -> Iterator[dict]:
    """The poses of a stretch whose people are known."""
    settings, keypoints = engine.settings, engine.keypoints
    people = {entry['frame_id']: entry for entry in task.people}
    begin = max(task.lead - settings.look_back, plan.first)
    end = _limit(plan, task.end, settings.look_ahead)

    def with_boxes(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            frame.people = people_of(people[frame.index])
            yield frame

    read = watched(read_frames(plan, begin, end), begin, places)
    with closing(prefetch(with_boxes(as_frames(read, plan.fps)), DEPTH)) as frames:
        windows = (
            window
            for window in pipeline.windowed(frames, settings.offsets, settings.mode)
            if window.frame_id >= task.lead and (task.end is None or window.frame_id < task.end)
        )
        results = pipeline.posed(
            windows,
            WatchedPoser(engine.make_poser(task.state), places),
            settings.batch_size,
            settings.mode,
            keypoints,
        )
        results = pipeline.numbered_people(results, None)
        for result in pipeline.merged(results, keypoints, False):
            places.passed()
            if result.frame.index >= task.first:
                yield pose_entry(result)


def write_entries(path: str, entries: Iterable[dict]) -> dict[str, int]:
    """Write entries to a file, a line each; it is there when it is whole.

    Returns:
        dict: ``frames``, ``people``, of what was written.

    Raises:
        OSError: It cannot be written.
    """
    frames = people = 0
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic_write(path) as file:
        for entry in entries:
            file.write(json.dumps(entry) + '\n')
            if 'instances' in entry or 'bboxes' in entry:
                frames += 1
                people += len(entry.get('instances', entry.get('bboxes', ())))
    return dict(frames=frames, people=people)


def read_entries(path: str) -> Iterator[dict]:
    """The entries of a file."""
    with open(path, encoding='utf-8') as file:
        for line in file:
            yield json.loads(line)
