"""Where a worker is in a unit, in a file, so that it is known when the worker has died.

Each step has a place of its own, which is empty while the worker is not in it: what kills a worker
in a step does so at the same frame again, and a worker that is killed by chance does not.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from diffpose_mm_runtime.people import Person

STEPS = ('open', 'decode', 'find', 'pose', 'finish')
_WIDTH = 12
_NOWHERE = -1


class Places:
    """Writes where a worker is.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o666)
        for number in range(len(STEPS) + 1):
            self._put(number, _NOWHERE)

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

    def reached(self, frame: int) -> None:
        """A frame was decoded."""
        self._put(len(STEPS), frame)

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


def read_places(path: str) -> tuple[dict[str, int], int | None]:
    """The steps that a worker is in, each with its frame, and the last frame decoded."""
    try:
        with open(path, 'rb') as file:
            data = file.read()
        numbers = [int(data[i : i + _WIDTH]) for i in range(0, len(data), _WIDTH)]
    except (OSError, ValueError):
        return {}, None
    if len(numbers) != len(STEPS) + 1:
        return {}, None
    *steps, last = numbers
    found = {step: n for step, n in zip(STEPS, steps) if n != _NOWHERE}
    return found, None if last == _NOWHERE else last
