"""How far an archive is, in a line from time to time."""

import time
from collections.abc import Callable


class ProgressLine:
    """Says from time to time how far it is.

    Args:
        say: Takes a line.
        interval: Seconds between two.
    """

    def __init__(self, say: Callable[[str], None], interval: float = 30.0) -> None:
        self._say, self._interval = say, interval
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time for a line; the next one is due an interval later."""
        now = time.monotonic()
        if now - self._last < self._interval:
            return False
        self._last = now
        return True

    def planned(self, done: int, videos: int, faulty: int) -> None:
        """Say how many videos have been looked at."""
        self._say(f'{done} of {videos} videos planned' + (f', {faulty} failed' if faulty else ''))

    def posed(
        self,
        done: int,
        videos: int,
        frames: float,
        total: int,
        left: float | None,
        faulty: int,
        guessed: bool = False,
    ) -> None:
        """Say how far it is.

        Args:
            done, videos: Videos that are done, and all.
            frames, total: The same of frames.
            left: Seconds until the end.
            faulty: Videos that have failed.
            guessed: What is left depends on a pass that has not been measured.
        """
        share = 100 * frames / max(total, 1)
        text = f'{done} of {videos} videos, {frames:.0f} of {total} frames ({share:.1f} %)'
        if faulty:
            text += f', {faulty} failed'
        if left is not None:
            text += f', {"about " if guessed else ""}{clock(left)} left'
        self._say(text)


def clock(seconds: float) -> str:
    """Seconds as people read them: 48 s, 3.2 min, 12 min, 3 h 05 min."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    if seconds < 600:
        return f'{seconds / 60:.1f} min'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 100 else f'{minutes // 60} h {minutes % 60:02d} min'
