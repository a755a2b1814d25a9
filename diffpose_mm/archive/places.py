"""Where a worker is in a unit, in a file, so that it is known when the worker has died.

Each step has a place of its own, which is empty while the worker is not in it: what kills a worker
in a step does so at the same frame again, and a worker that is killed by chance does not.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from diffpose_mm_runtime.people import Person

STEPS = ('open', 'decode', 'find', 'pose', 'finish')
_WIDTH = 12
_NOWHERE = -1


class Passed(NamedTuple):
    """How fast a pass runs: frames that have come out between two batches, and seconds."""

    frames: int = 0
    seconds: float = 0.0


class Places:
    """Writes where a worker is.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o666)
        for number in range(len(STEPS) + 2):
            self._put(number, _NOWHERE)
        self._passed, self._is_new_batch = 0, False
        self._first: float | None = None

    def _put(self, number: int, value: int) -> None:
        os.pwrite(self._file, b'%*d' % (_WIDTH, value), number * _WIDTH)

    @contextmanager
    def within(self, step: str, frame: int) -> Iterator[None]:
        """While a step is at work on a frame, or on a batch that begins with it."""
        number = STEPS.index(step)
        self._put(number, frame)
        try:
            yield
        finally:
            self._put(number, _NOWHERE)
            self._is_new_batch = self._is_new_batch or step in ('find', 'pose')

    def passed(self) -> None:
        """A frame has come out of the pass.

        They come by batches: what is written down are the frames of all batches before, and the
        time since the first one was through, so that neither the start of a pass nor half a batch
        counts.
        """
        if self._is_new_batch:
            now, self._is_new_batch = time.perf_counter(), False
            self._first = now if self._first is None else self._first
            self._put(len(STEPS), self._passed)
            self._put(len(STEPS) + 1, round(1000 * (now - self._first)))
            self._passed += 1
        elif self._first is not None:
            self._passed += 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class WatchedFinder:
    """A :class:`PeopleFinder` that says where it is."""

    def __init__(self, finder: Any, places: Places) -> None:
        self._finder, self._places = finder, places
        self.slow: bool = finder.slow
        self.prepare, self.identity = finder.prepare, finder.identity

    def __call__(self, indices: Sequence[int], images: Sequence[Any]) -> list[list[Person]]:
        """See :class:`PeopleFinder`."""
        with self._places.within('find', indices[0]):
            return self._finder(indices, images)


class WatchedPoser:
    """A :class:`Poser` that says where it is."""

    def __init__(self, poser: Any, places: Places) -> None:
        self._poser, self._places = poser, places
        self.replay = poser.replay

    def __call__(self, jobs: Sequence[Any]) -> Any:
        """See :class:`Poser`."""
        if not jobs:
            return []
        with self._places.within('pose', jobs[0][0].frame_id):
            return self._poser(jobs)


def read_places(path: str) -> tuple[dict[str, int], Passed]:
    """The steps that a worker is in, each with its frame, and how fast the pass runs."""
    try:
        with open(path, 'rb') as file:
            data = file.read()
        numbers = [int(data[i : i + _WIDTH]) for i in range(0, len(data), _WIDTH)]
    except (OSError, ValueError):
        return {}, Passed()
    if len(numbers) != len(STEPS) + 2:
        return {}, Passed()
    *steps, frames, milliseconds = numbers
    found = {step: n for step, n in zip(STEPS, steps) if n != _NOWHERE}
    return found, Passed(max(frames, 0), max(milliseconds, 0) / 1000)
