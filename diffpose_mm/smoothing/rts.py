"""The offline smoother of a track: each joint as sure as its spread says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .kalman import smooth_coordinates
from .settings import positive
from .tracks import Runs, Track

NOISES = ('auto', 'std', 'score', 'constant')


@dataclass(frozen=True)
class RTS:
    """A Rauch-Tung-Striebel smoother; all sizes in those of the person, all times in seconds.

    The standard deviation of a measured coordinate, in sizes of the person, is

    - ``std``: root(floor^2 + (std_gain * keypoint_std)^2), of the spread of the hypotheses;
    - ``score``: floor + score_gain * (1 - score), where there is no spread;
    - ``constant``: ``constant``, the same for all.

    Joints that are far from where the others would have them count less (Student's t with
    ``tail`` degrees of freedom, by reweighting), since a joint that jumps to the other leg is no
    Gaussian error.

    Attributes:
        order: 1: velocities are constant but for noise; 2: accelerations are.
        agility: Root of the density of that noise: sizes / s^1.5 for order 1, sizes / s^2.5 for 2.
        noise: 'std', 'score', 'constant', or 'auto': 'std' where all people have it, else 'score'.
        floor, std_gain, score_gain, constant: See above.
        tail: Degrees of freedom; 0 for Gaussian errors.
        sway: What a whole person moves by from frame to frame on their own or the camera's account,
            in sizes: white noise that their joints share, estimated from all of them and kept. 0
            for none.
        rounds: How often weights and shared movement are made anew.

    Raises:
        ValueError: A setting that is out of range.
    """

    order: int = 2
    agility: float = 10.0
    noise: str = 'auto'
    floor: float = 0.01
    std_gain: float = 1.0
    score_gain: float = 0.1
    constant: float = 0.03
    tail: float = 4.0
    sway: float = 0.05
    rounds: int = 3

    def __post_init__(self) -> None:
        """Check the values."""
        positive(self, 'agility', 'floor', 'constant')
        positive(self, 'std_gain', 'score_gain', 'tail', 'sway', or_zero=True)
        if self.order not in (1, 2):
            raise ValueError(f'order={self.order!r} has to be 1 or 2')
        if self.noise not in NOISES:
            raise ValueError(f'noise={self.noise!r} has to be one of {", ".join(NOISES)}')
        if not isinstance(self.rounds, int) or self.rounds < 0:
            raise ValueError(f'rounds={self.rounds!r} has to be a whole number of at least 0')

    def deviations(self, track: Track) -> np.ndarray:
        """(T, K, 2) standard deviations of the joints of a track, image pixels."""
        shape = track.points.shape
        noise = self.noise
        if noise == 'auto':
            noise = 'score' if track.std is None else 'std'
        if noise == 'std':
            if track.std is None:
                raise ValueError(
                    "noise='std' needs keypoint_std of every person: infer with --hypotheses 2 or "
                    "more, or take 'score' or 'constant'"
                )
            spread = self.std_gain * np.nan_to_num(track.std) / track.size
            sizes = np.hypot(self.floor, spread)
        elif noise == 'score':
            unsure = 1 - np.clip(np.nan_to_num(track.scores), 0, 1)
            sizes = np.broadcast_to((self.floor + self.score_gain * unsure)[..., None], shape)
        else:
            sizes = np.full(shape, self.constant)
        return sizes * track.size

    def __call__(self, track: Track, runs: Runs) -> tuple[np.ndarray, np.ndarray]:
        """Smooth a track.

        Args:
            track: T frames, K joints.
            runs: Of its joints.

        Returns:
            (T, K, 2) places and (T, K, 2) standard deviations, image pixels; NaN outside of runs.
        """
        shape = track.points.shape
        count, width = shape[0], shape[1] * 2

        def flat(values: np.ndarray) -> np.ndarray:
            return np.repeat(values, 2, axis=1)

        inside, starts = flat(runs.inside), flat(runs.starts)
        values = np.where(runs.measured[..., None], track.points, np.nan).reshape(count, width)
        variances = self.deviations(track).reshape(count, width) ** 2
        density = np.full(width, (self.agility * track.size) ** 2)
        # A person rarely moves by more than three of their own sizes in a second.
        prior = np.array([[3.0], [30.0]])[: self.order] * track.size
        prior = np.broadcast_to(prior**2, (self.order, width))
        weights = np.ones_like(variances)
        common, common_variance = np.zeros((count, 1, 2)), np.zeros((count, 1, 2))
        steady = self._steady(track, runs)
        for left in range(self.rounds, -1, -1):
            moved = (values.reshape(shape) - common).reshape(count, width)
            mean, variance = smooth_coordinates(
                track.times, moved, variances / weights, starts, inside, density, prior
            )
            if not left:
                break
            precision = np.where(steady, (weights / variances).reshape(shape), 0)
            residual = np.where(steady, (values - mean).reshape(shape), 0)
            if self.sway:
                total = precision.sum(axis=1, keepdims=True) + 1 / (self.sway * track.size) ** 2
                common = (precision * residual).sum(axis=1, keepdims=True) / total
                common_variance = 1 / total
            if self.tail:
                # The two coordinates of a joint share a weight (expectation of its precision).
                error = (values - mean).reshape(shape) - common
                square = (error**2 + variance.reshape(shape)) / variances.reshape(shape)
                square = np.nan_to_num(square).sum(axis=2)
                weights = flat((self.tail + 2) / (self.tail + square))
        places = mean.reshape(shape) + common
        return places, np.sqrt(variance.reshape(shape) + common_variance)

    def _steady(self, track: Track, runs: Runs) -> np.ndarray:
        """(T, K, 1) joints that may say where the whole person has moved."""
        best = np.max(track.scores, axis=1, where=runs.measured, initial=0, keepdims=True)
        return (runs.measured & (track.scores >= 0.3 * best))[..., None]
