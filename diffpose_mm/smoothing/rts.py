"""The offline smoother of a track: each joint as sure as its spread says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .kalman import smooth_coordinates
from .settings import positive
from .tracks import Runs, Track, shared_shake

_MOST_DOUBT = 0.95
NOISES = ('auto', 'std', 'score', 'constant')


@dataclass(frozen=True)
class RTS:
    """A Rauch-Tung-Striebel smoother; all sizes in those of the person, all times in seconds.

    The standard deviation of a measured coordinate, in sizes of the person, is

    - ``std``: root(floor^2 + (std_gain * s)^2 + (score_gain * (1 - score))^2), s that of the
      hypotheses (``keypoint_std``);
    - ``score``: the same without s, where there is no spread;
    - ``constant``: ``constant``, the same for all.

    A joint that is taken for another one, or for a thing, is no Gaussian error: with a chance of
    ``doubt + doubt_by_std * s + doubt_by_score * (1 - score)`` (the terms that the noise knows) a
    joint is an outlier, whose standard deviation is greater by ``reach``. What is one is weighed
    anew in each round by how far the joint is from where its other frames would have it: the
    expectation of its precision in a mixture of two Gaussians (Lange and Sinsheimer, Normal/
    independent distributions and their applications in robust regression, 1993).

    Attributes:
        order: 1: velocities are constant but for noise; 2: accelerations are.
        agility: Root of the density of that noise: sizes / s^1.5 for order 1, sizes / s^2.5 for 2.
        noise: 'std', 'score', 'constant', or 'auto': 'std' where all people have it, else 'score'.
        floor, std_gain, score_gain, constant: See above.
        doubt, doubt_by_std, doubt_by_score: See above; all 0 for Gaussian errors.
        reach: Standard deviation of an outlier, in sizes.
        sway: What a whole person moves by from frame to frame on their own or the camera's account,
            in sizes: white noise that their joints share, estimated from all of them and kept. 0
            for none.
        still: Where the joints of a track shake together by less than this, in sizes
            (:func:`shared_shake`), it is the model that shakes, and nothing of it is kept.
        rounds: How often weights and shared movement are made anew.

    Raises:
        ValueError: A setting that is out of range.
    """

    order: int = 1
    agility: float = 6.5
    noise: str = 'auto'
    floor: float = 0.03
    std_gain: float = 0.16
    score_gain: float = 0.1
    constant: float = 0.03
    doubt: float = 0.05
    doubt_by_std: float = 0.8
    doubt_by_score: float = 0.9
    reach: float = 0.55
    sway: float = 0.5
    still: float = 0.01
    rounds: int = 4

    def __post_init__(self) -> None:
        """Check the values."""
        positive(self, 'agility', 'floor', 'constant', 'reach')
        positive(self, 'std_gain', 'score_gain', 'sway', 'still', or_zero=True)
        positive(self, 'doubt', 'doubt_by_std', 'doubt_by_score', or_zero=True)
        if self.order not in (1, 2):
            raise ValueError(f'order={self.order!r} has to be 1 or 2')
        if self.noise not in NOISES:
            raise ValueError(f'noise={self.noise!r} has to be one of {", ".join(NOISES)}')
        if not isinstance(self.rounds, int) or self.rounds < 0:
            raise ValueError(f'rounds={self.rounds!r} has to be a whole number of at least 0')

    def noise_of(self, track: Track) -> tuple[np.ndarray, np.ndarray]:
        """What is expected of the errors of the joints of a track.

        Returns:
            (T, K) standard deviations of a coordinate, image pixels, and (T, K) chances that the
            joint is an outlier.

        Raises:
            ValueError: The spread is asked for, and there is none.
        """
        shape = track.scores.shape
        noise = self.noise
        if noise == 'auto':
            noise = 'score' if track.std is None else 'std'
        spread, unsure = np.zeros(shape), np.zeros(shape)
        if noise == 'std':
            if track.std is None:
                raise ValueError(
                    "noise='std' needs keypoint_std of every person: infer with --hypotheses 2 or "
                    "more, or take 'score' or 'constant'"
                )
            spread = np.sqrt((np.nan_to_num(track.std) ** 2).mean(axis=2)) / track.size
        if noise != 'constant':
            unsure = 1 - np.clip(np.nan_to_num(track.scores), 0, 1)
        floor = self.constant if noise == 'constant' else self.floor
        sizes = np.sqrt(floor**2 + (self.std_gain * spread) ** 2 + (self.score_gain * unsure) ** 2)
        doubts = self.doubt + self.doubt_by_std * spread + self.doubt_by_score * unsure
        return sizes * track.size, np.clip(doubts, 0, _MOST_DOUBT)

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
        found = np.where(runs.measured[..., None], track.points, np.nan)
        values = found.reshape(count, width)
        deviations, doubts = self.noise_of(track)
        variances = deviations**2
        reach = self.reach * track.size
        shake, still = shared_shake(found), self.still * track.size
        sway = self.sway * track.size * (1 - (still / shake) ** 2 if shake > still else 0)
        leaps = _leaps(found)
        # Farther than any error of a person's pose: it would spoil the first round for the others.
        leaps = np.where(leaps > 3 * reach, leaps, 0)
        wide = variances + np.maximum(reach, leaps) ** 2
        density = np.full(width, (self.agility * track.size) ** 2)
        # A person rarely moves by more than three of their own sizes in a second.
        prior = np.array([[3.0], [30.0]])[: self.order] * track.size
        prior = np.broadcast_to(prior**2, (self.order, width))
        weights = np.where(leaps > 0, 0, 1 - doubts) + doubts * variances / wide
        common, common_variance = np.zeros((count, 1, 2)), np.zeros((count, 1, 2))
        steady = self._steady(track, runs)
        for left in range(self.rounds, -1, -1):
            moved = (values.reshape(shape) - common).reshape(count, width)
            noise = flat(variances / weights)
            mean, variance = smooth_coordinates(
                track.times, moved, noise, starts, inside, density, prior
            )
            if not left:
                break
            if sway:
                precision = np.where(steady, (weights / variances)[..., None], 0)
                residual = np.where(steady, (values - mean).reshape(shape), 0)
                total = precision.sum(axis=1, keepdims=True) + 1 / sway**2
                common = (precision * residual).sum(axis=1, keepdims=True) / total
                common_variance = 1 / total
            error = (values - mean).reshape(shape) - common
            square = np.nan_to_num(error**2 + variance.reshape(shape)).sum(axis=2)
            weights = _weights(square, variances, wide, doubts)
        places = mean.reshape(shape) + common
        return places, np.sqrt(variance.reshape(shape) + common_variance)

    def _steady(self, track: Track, runs: Runs) -> np.ndarray:
        """(T, K, 1) joints that may say where the whole person has moved."""
        best = np.max(track.scores, axis=1, where=runs.measured, initial=0, keepdims=True)
        return (runs.measured & (track.scores >= 0.3 * best))[..., None]


def _leaps(points: np.ndarray) -> np.ndarray:
    """(T, K) distances from the median over two frames before and after; 0 where there is none."""
    padded = np.pad(points, ((2, 2), (0, 0), (0, 0)), constant_values=np.nan)
    around = np.stack([padded[i : i + len(points)] for i in range(5)])
    # The median of nothing is of no interest, nor is its warning.
    around = np.where(np.isfinite(points), around, 0)
    return np.linalg.norm(np.nan_to_num(points) - np.nanmedian(around, axis=0), axis=-1)


def _weights(
    square: np.ndarray, variances: np.ndarray, wide: np.ndarray, doubts: np.ndarray
) -> np.ndarray:
    """Expected precision of a joint, as a share of that of one that is no outlier.

    Args:
        square: Squared distance from where it should be, x and y together.
        variances, wide: Of a coordinate, of a good joint and of an outlier.
        doubts: Chance of an outlier before the distance is known.

    Returns:
        As the arguments, in (0, 1].
    """
    good = (1 - doubts) / variances * np.exp(-square / 2 / variances)
    far = doubts / wide * np.exp(-square / 2 / wide)
    total = good + far
    # Where both are too small for a number, it is an outlier.
    share = np.divide(good, total, out=np.where(doubts > 0, 0.0, 1.0), where=total > 0)
    return share + (1 - share) * variances / wide
