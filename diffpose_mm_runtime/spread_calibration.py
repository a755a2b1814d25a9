"""The spread of hypotheses as a standard deviation of the error: a small monotone map.

A spread orders joints well and is too short as a length. The map was fitted on a split of its own
(``calibrate``) and comes with the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

VERSION = 1
FLOOR = 0.05
"""Input pixels that are added to a spread, whose logarithm is taken."""
FIELDS = ('sampling_steps', 'weights', 'inputs', 'stds')


def calibration_input(
    spread: np.ndarray, scores: np.ndarray, number: int, weights: Sequence[float]
) -> np.ndarray:
    """What the map is of: weights times log spread along the axis and across it, and -score.

    Args:
        spread: (..., K, 2), population standard deviation of ``number`` hypotheses, input pixels.
        scores: (..., K).
        number: N, at least 2.
        weights: Of the three, none negative: more spread or less score is never a smaller error.

    Returns:
        np.ndarray: (..., K, 2).
    """
    logs = np.log(np.asarray(spread, float) * math.sqrt(number / (number - 1)) + FLOOR)
    along, across, score = weights
    return along * logs + across * logs[..., ::-1] - score * np.asarray(scores, float)[..., None]


def spread_identity(number: int, calibration: SpreadCalibration | None) -> dict[str, str]:
    """What a file of predictions says of its ``keypoint_std``; nothing where there is none."""
    if number == 1:
        return {}
    return dict(keypoint_std='spread of hypotheses' if calibration is None else 'calibrated')


class SpreadCalibration:
    """Spread and score of a joint to the standard deviation of its error along x and along y.

    Args:
        fitted: What ``calibrate`` stored in a checkpoint: ``version`` and ``tables``, one for each
            number of steps that it was fitted for: ``sampling_steps``, three ``weights`` of
            :func:`calibration_input`, and a rising line through ``inputs`` and ``stds`` (input
            pixels), which goes on level beyond its ends.

    Raises:
        ValueError: It is of another version, has no tables, or one that is not monotone.
    """

    def __init__(self, fitted: Mapping[str, Any]) -> None:
        again = 'fit it again: python -m diffpose_mm calibrate'
        if not isinstance(fitted, Mapping) or fitted.get('version') != VERSION:
            found = fitted.get('version') if isinstance(fitted, Mapping) else fitted
            raise ValueError(f'spread_calibration is of version {found}, not {VERSION}; {again}')
        self.tables = sorted(fitted.get('tables') or (), key=lambda t: t['sampling_steps'])
        if not self.tables:
            raise ValueError(f'spread_calibration has no tables; {again}')
        for table in self.tables:
            lacking = [name for name in FIELDS if name not in table]
            if lacking:
                raise ValueError(f'spread_calibration lacks {lacking[0]}; {again}')
            where = f'spread_calibration of S = {table["sampling_steps"]}'
            inputs, stds = (np.asarray(table[name], float) for name in ('inputs', 'stds'))
            sound = len(inputs) == len(stds) > 0 and (np.diff(inputs) > 0).all()
            if not sound or (np.diff(stds) < 0).any() or not (stds > 0).all():
                raise ValueError(f'{where} is no rising line; {again}')
            if len(table['weights']) != 3 or min(table['weights']) < 0:
                raise ValueError(
                    f'{where} has weights {table["weights"]}, not three of at least 0; {again}'
                )

    def table(self, steps: int) -> Mapping[str, Any]:
        """The table of the nearest number of steps, by their ratio."""
        return min(self.tables, key=lambda t: abs(math.log(t['sampling_steps'] / steps)))

    def __call__(
        self, spread: np.ndarray, scores: np.ndarray, number: int, steps: int
    ) -> np.ndarray:
        """Standard deviations (..., K, 2), input pixels, float32.

        Args:
            spread: (..., K, 2) of ``number`` hypotheses, input pixels.
            scores: (..., K).
            number: N, at least 2.
            steps: S.
        """
        table = self.table(steps)
        at = calibration_input(spread, scores, number, table['weights'])
        return np.interp(at, table['inputs'], table['stds']).astype(np.float32)
