"""The One-Euro filter: a low-pass filter that opens as a joint speeds up; causal.

Casiez, Roussel and Vogel, 1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems, CHI 2012. Each step has a length of its own, as frames of real videos have.
Beside the paper: what all joints of a person move by together (the median) is not filtered, so that
neither a walk nor a camera that shakes lets the pose lag behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .settings import positive

_FEWEST = 4
"""Joints that can say what a person moves by."""


@dataclass(frozen=True)
class OneEuro:
    """Settings of the filter; see :class:`OneEuroState` for one person's filter.

    Attributes:
        min_cutoff: Cut-off frequency of a joint at rest, Hz. Less is smoother.
        beta: What the cut-off rises by for a speed of one person's size a second, Hz. More
            follows faster.
        derivative_cutoff: Cut-off frequency of the speed, Hz.
        together: Shared movement passes as it is; False for the filter as it was published.
        still: Shared movement of less than this in a frame, in sizes of the person, is the model's
            trembling and does not pass.

    Raises:
        ValueError: A setting that is out of range.
    """

    min_cutoff: float = 4.0
    beta: float = 10.0
    derivative_cutoff: float = 1.0
    together: bool = True
    still: float = 0.01

    def __post_init__(self) -> None:
        """Check the values."""
        positive(self, 'min_cutoff', 'derivative_cutoff')
        positive(self, 'beta', 'still', or_zero=True)


class OneEuroState:
    """The filter of one person: K joints, each of their coordinates by itself.

    Args:
        settings: Of the filter.
        max_gap: A joint that was missing for more frames in a row begins anew.
    """

    def __init__(self, settings: OneEuro, max_gap: int) -> None:
        self.settings = settings
        self.max_gap = max_gap
        self.size: float | None = None
        self._places: np.ndarray | None = None

    def __call__(
        self, frame: int, time: float, points: np.ndarray, present: np.ndarray, size: float
    ) -> np.ndarray:
        """The filtered joints of a frame.

        Args:
            frame: Its number.
            time: Seconds, after the frame before.
            points: (K, 2) image pixels.
            present: (K,) joints that were found; the others come back as they are.
            size: Of the person, image pixels. That of the first frame counts, so that one whose
                size jumps does not change the filter.

        Returns:
            (K, 2) image pixels.
        """
        if self._places is None:
            self._places = np.array(points, float)
            self._speeds = np.zeros_like(self._places)
            self._last = self._places.copy()
            self._times = np.full(len(points), -np.inf)
            self._frames = np.full(len(points), -np.inf)
        if self.size is None:
            self.size = size
        settings = self.settings
        known = present & (frame - self._frames - 1 <= self.max_gap)
        fresh = present & ~known
        step = (time - self._times[known])[:, None]
        place = self._places[known]
        moved = points[known] - self._last[known]
        if settings.together and len(moved) >= _FEWEST:
            shift = np.median(moved, axis=0)
            square, still = shift @ shift, (settings.still * self.size) ** 2
            place = place + shift * (1 - still / square if square > still else 0)
        speed = (points[known] - place) / step
        share = _share(settings.derivative_cutoff, step)
        speed = share * speed + (1 - share) * self._speeds[known]
        cutoff = settings.min_cutoff + settings.beta * np.abs(speed) / self.size
        share = _share(cutoff, step)
        self._places[known] = share * points[known] + (1 - share) * place
        self._speeds[known] = speed
        self._places[fresh], self._speeds[fresh] = points[fresh], 0
        self._times[present], self._frames[present] = time, frame
        self._last[present] = points[present]
        return np.where(present[:, None], self._places, points)


def _share(cutoff: np.ndarray | float, step: np.ndarray) -> np.ndarray:
    """Weight of the new value in exponential smoothing with a cut-off frequency."""
    turn = 2 * np.pi * cutoff * step
    return turn / (turn + 1)
