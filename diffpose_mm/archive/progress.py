"""How far an archive is, and how long it will take, from what its passes have cost so far."""

import time
from collections.abc import Callable, Mapping

GUESS = dict(whole=1.0, find=0.3, pose=0.7)
"""Cost of a frame in a pass, relative to each other, until one has been measured."""


class Costs:
    """What a frame costs in each pass, in seconds of one worker."""

    def __init__(self) -> None:
        self._frames: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    def add(self, kind: str, frames: float, seconds: float) -> None:
        """Frames went through a pass."""
        if kind in GUESS and frames > 0:
            self._frames[kind] = self._frames.get(kind, 0) + frames
            self._seconds[kind] = self._seconds.get(kind, 0) + seconds

    def of(self, kind: str) -> float | None:
        """Seconds of a frame in a pass, or None if nothing is known yet."""
        if self._frames.get(kind):
            return self._seconds[kind] / self._frames[kind]
        known = [k for k, n in self._frames.items() if n]
        if not known:
            return None
        # By those that are known: a whole frame is found and posed.
        return (
            sum(self._seconds[k] / self._frames[k] / GUESS[k] for k in known)
            / len(known)
            * GUESS[kind]
        )

    def with_running(self, running: Mapping[str, tuple[float, float]]) -> 'Costs':
        """A copy that counts passes under way: kind to (frames, seconds) so far."""
        costs = Costs()
        costs._frames, costs._seconds = dict(self._frames), dict(self._seconds)
        for kind, (frames, seconds) in running.items():
            costs.add(kind, frames, seconds)
        return costs


def seconds_left(costs: Costs, left: Mapping[str, float], workers: int) -> float | None:
    """Seconds until the end, or None as long as nothing is known.

    Args:
        costs: So far.
        left: Frames that are still to go through each pass.
        workers: How many there are.
    """
    total = 0.0
    for kind, frames in left.items():
        cost = costs.of(kind)
        if cost is None:
            return None
        total += frames * cost
    return total / max(workers, 1)


class ProgressLine:
    """Says from time to time how far it is.

    Args:
        say: Takes a line.
        interval: Seconds between two.
    """

    def __init__(self, say: Callable[[str], None], interval: float = 30.0) -> None:
        self._say, self._interval = say, interval
        self._last = time.monotonic()

    def __call__(
        self, done: int, videos: int, frames: float, total: int, left: float | None, faulty: int
    ) -> None:
        """Tell it if it is time to.

        Args:
            done, videos: Videos that are done, and all.
            frames, total: The same of frames.
            left: Seconds until the end.
            faulty: Videos that have failed.
        """
        if time.monotonic() - self._last < self._interval:
            return
        self._last = time.monotonic()
        share = 100 * frames / max(total, 1)
        text = f'{done} of {videos} videos, {frames:.0f} of {total} frames ({share:.1f} %)'
        if faulty:
            text += f', {faulty} failed'
        self._say(text + ('' if left is None else f', {clock(left)} left'))


def clock(seconds: float) -> str:
    """Seconds as people read them: 48 s, 3.2 min, 12 min, 3 h 05 min."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    if seconds < 600:
        return f'{seconds / 60:.1f} min'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 100 else f'{minutes // 60} h {minutes % 60:02d} min'
