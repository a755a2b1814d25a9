"""Stretches joined: people of all stretches tracked in order, and cut again for the poser.

What the poser of a whole video would have at a seam is brought about there: the same track ids,
the same batches (seams lie between two batches), and of a stream the same crops. Tokens are not
kept; a lead-in of whole batches before the seam computes them again.
"""

import copy
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from diffpose_mm_runtime.streams import StreamCrops, StreamState

from ..apis.windows import Frame, FrameWindows, Window
from .engine import Settings
from .stages import PoseTask, people_entry, people_of, tracker_of
from .stretch_reader import NotExactError


class Joiner:
    """Takes the people of a video's stretches in order, and gives the stretches to be posed.

    It runs no model and sees no pictures.

    Args:
        settings: Of the run.
        edges: First frame of each stretch; a seam comes to lie at the first batch from there on.
    """

    def __init__(self, settings: Settings, edges: list[int]) -> None:
        self.settings = settings
        self._seams = deque(edges[1:])
        self._tracker = None if settings.by_oks else tracker_of(settings)
        self._windows = FrameWindows(settings.offsets, settings.mode)
        self._crops = StreamCrops(settings.offsets) if settings.streaming else None
        self._records: deque[dict] = deque()
        self._batch: list[Window] = []
        self._marks: deque[tuple[int, StreamState | None]] = deque()
        self._stretch = edges[0], edges[0], self._snapshot()
        self._seen: str | None = None
        self._span = settings.look_back + settings.look_ahead
        # At least two batches begin in it, before what two windows span.
        self._reach = 2 * (self._span + settings.batch_size) if settings.streaming else 0

    def feed(self, entries: Iterable[dict]) -> Iterator[PoseTask]:
        """Add the people of the next stretch; gives what can be posed now.

        Raises:
            NotExactError: The stretch does not begin where the one before has ended.
        """
        for entry in entries:
            if 'bboxes' not in entry:
                self._seen = entry['seen']
                continue
            if entry.get('seen') is not None and self._seen is not None:
                if entry['seen'] != self._seen:
                    raise NotExactError(f'frame {entry["frame_id"]} is another one from the start')
                self._seen = None
            yield from self._push(self._frame(entry))

    def finish(self) -> Iterator[PoseTask]:
        """The video has ended; gives what is left to be posed."""
        for window in self._windows.flush():
            yield from self._take(window)
        self._close_batch()
        first, lead, state = self._stretch
        yield self._task(first, None, lead, state)

    def _frame(self, entry: dict) -> Frame:
        shape = entry['shape']
        # A picture of that shape, without memory.
        image = None if shape is None else np.broadcast_to(np.uint8(0), shape)
        frame = Frame(entry['frame_id'], '', image, entry['time'], entry['fault'])
        frame.people = people_of(entry)
        if self._tracker is not None:
            self._tracker(frame.people)
        return frame

    def _push(self, frame: Frame) -> Iterator[PoseTask]:
        self._records.append(people_entry(frame))
        for window in self._windows.push(frame):
            yield from self._take(window)

    def _take(self, window: Window) -> Iterator[PoseTask]:
        if not self._batch:
            yield from self._begin_batch(window.frame_id)
        self._batch.append(window)
        size = self.settings.batch_size
        people = sum(len(w.frame.people) for w in self._batch)
        if len(self._batch) >= size or people >= size:
            self._close_batch()

    def _begin_batch(self, number: int) -> Iterator[PoseTask]:
        if not self._seams:
            return
        if number >= self._seams[0] - self._reach:
            self._marks.append((number, self._snapshot()))
        if number >= self._seams[0]:
            while self._seams and number >= self._seams[0]:
                self._seams.popleft()
            first, lead, state = self._stretch
            yield self._task(first, number, lead, state)
            self._stretch = number, *self._lead(number)
            self._forget(self._stretch[1] - self.settings.look_back)

    def _lead(self, number: int) -> tuple[int, StreamState | None]:
        """Where a stretch that begins at a batch has to begin to be posed, and what is known there.

        Tokens of the first batch are computed in another company than in the whole video; windows
        at the seam see none of them if a whole batch and two windows lie before.
        """
        if not self.settings.streaming:
            self._marks.clear()
            return number, None
        before = [i for i, (at, _) in enumerate(self._marks) if at <= number - 2 * self._span]
        found = self._marks[max(before[-1] - 1, 0) if before else 0]
        while self._seams and self._marks and self._marks[0][0] < self._seams[0] - self._reach:
            self._marks.popleft()
        return found

    def _close_batch(self) -> None:
        batch, self._batch = self._batch, []
        if self._crops is not None:
            jobs = [(window, person) for window in batch for person in window.frame.people]
            size = self.settings.batch_size
            for start in range(0, len(jobs), size):
                self._crops.replay(jobs[start : start + size])

    def _snapshot(self) -> StreamState | None:
        return None if self._crops is None else copy.deepcopy(self._crops.state)

    def _task(self, first: int, end: int | None, lead: int, state: StreamState | None) -> PoseTask:
        begin = lead - self.settings.look_back
        stop = None if end is None else end + self.settings.look_ahead
        people = [
            record
            for record in self._records
            if record['frame_id'] >= begin and (stop is None or record['frame_id'] < stop)
        ]
        return PoseTask(first, end, lead, people, state)

    def _forget(self, number: int) -> None:
        while self._records and self._records[0]['frame_id'] < number:
            self._records.popleft()
