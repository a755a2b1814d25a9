"""The spread of hypotheses as a length that errors keep to: a small monotone map.

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
"""Input pixels that are added to a spread along x and along y, whose logarithm is taken."""
FIELDS = ('sampling_steps', 'weights', 'inputs', 'lengths')


def spread_shape(spread: np.ndarray, number: int) -> np.ndarray:
    """Spread (..., K, 2) of ``number`` hypotheses as that of many, and never 0; input pixels."""
    return np.asarray(spread, float) * math.sqrt(number / (number - 1)) + FLOOR


def calibration_input(
    spread: np.ndarray, scores: np.ndarray, number: int, weights: Sequence[float]
) -> np.ndarray:
    """What the map is of: weights times the logarithm of the spread's length and -score.

    Args:
        spread: (..., K, 2), population standard deviation of ``number`` hypotheses, input pixels.
        scores: (..., K).
        number: N, at least 2.
        weights: Of the two, none negative: more spread or less score is never a smaller error.

    Returns:
        np.ndarray: (..., K).
    """
    length = np.linalg.norm(spread_shape(spread, number), axis=-1)
    return weights[0] * np.log(length) - weights[1] * np.asarray(scores, float)


def spread_identity(number: int, calibration: SpreadCalibration | None) -> dict[str, str]:
    """What a file of predictions says of its ``keypoint_std``; nothing where there is none."""
    if number == 1:
        return {}
    return dict(keypoint_std='spread of hypotheses' if calibration is None else 'calibrated')


class SpreadCalibration:
    """Spread and score of a joint to a spread of such a length that errors keep to it.

    Of joints, 68 % are within one length of ``keypoint_std``, the root of the sum of its squares
    along x and y, and 95 % within two. Which way it is longer, the hypotheses say.

    Args:
        fitted: What ``calibrate`` stored in a checkpoint: ``version`` and ``tables``, one for each
            number of steps that it was fitted for: ``sampling_steps``, two ``weights`` of
            :func:`calibration_input`, and a rising line through ``inputs`` and ``lengths`` (input
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
            inputs, lengths = (np.asarray(table[name], float) for name in ('inputs', 'lengths'))
            sound = len(inputs) == len(lengths) > 0 and (np.diff(inputs) > 0).all()
            if not sound or (np.diff(lengths) < 0).any() or not (lengths > 0).all():
                raise ValueError(f'{where} is no rising line; {again}')
            if len(table['weights']) != 2 or min(table['weights']) < 0:
                raise ValueError(
                    f'{where} has weights {table["weights"]}, not two of at least 0; {again}'
                )

    def table(self, steps: int) -> Mapping[str, Any]:
        """The table of the nearest number of steps, by their ratio."""
        return min(self.tables, key=lambda t: abs(math.log(t['sampling_steps'] / steps)))

    def __call__(
        self, spread: np.ndarray, scores: np.ndarray, number: int, steps: int
    ) -> np.ndarray:
        """Spreads (..., K, 2), input pixels, float32.

        Args:
            spread: (..., K, 2) of ``number`` hypotheses, input pixels.
            scores: (..., K).
            number: N, at least 2.
            steps: S.
        """
        table = self.table(steps)
        at = calibration_input(spread, scores, number, table['weights'])
        shape = spread_shape(spread, number)
        factor = np.interp(at, table['inputs'], table['lengths']) / np.linalg.norm(shape, axis=-1)
        return (shape * factor[..., None]).astype(np.float32)
