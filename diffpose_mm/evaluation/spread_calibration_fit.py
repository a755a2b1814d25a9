"""Fit of the map from the spread of hypotheses to a length that errors keep to.

The map is that of :class:`diffpose_mm_runtime.spread_calibration.SpreadCalibration`. Lengths are
input pixels; the error of a joint is its distance from the truth.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from diffpose_mm_runtime.spread_calibration import calibration_input

__all__ = ['WITHIN', 'coverage', 'fit_table']

WITHIN = (0.68, 0.95)
"""Shares of joints within one and within two lengths of the spread."""
LEAST = 100
"""Joints below which nothing is fitted."""
_ERROR_FLOOR = 0.1


def coverage(errors: np.ndarray, spread: np.ndarray) -> tuple[float, float]:
    """Shares of errors (M, 2) within one and within two lengths of the spreads (M, 2)."""
    ratio = np.linalg.norm(errors, axis=-1) / np.linalg.norm(spread, axis=-1)
    return float((ratio <= 1).mean()), float((ratio <= 2).mean())


def fit_table(
    spread: np.ndarray,
    scores: np.ndarray,
    errors: np.ndarray,
    number: int,
    steps: int,
    groups: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Fit the table of one number of steps.

    The logarithm of the error is regressed, with weights that cannot be negative, on that of the
    spread and on the score. Along what comes out, joints are put in bins, and the length of a bin
    lies between its 68 % quantile and half of its 95 % quantile: errors have longer tails in some
    bins than in others. Where between the two, and a factor on all, are chosen such that both
    shares are met as nearly as can be over all joints and over each group; the line is made
    monotone (isotonic regression).

    Args:
        spread: (M, 2) of M joints, input pixels.
        scores: (M,).
        errors: (M, 2), predicted minus true.
        number: N hypotheses.
        steps: S, which the table is for.
        groups: Name -> (M,) bool, joints whose shares are to be met beside those of all.

    Returns:
        dict: The table, and ``within``: group -> shares within one and two on this very data.

    Raises:
        ValueError: There are too few joints, N is 1, or a number is not finite.
    """
    from scipy.optimize import isotonic_regression, nnls

    if number < 2:
        raise ValueError('a spread takes 2 hypotheses or more')
    if len(errors) < LEAST:
        raise ValueError(f'{len(errors)} annotated joints are too few to calibrate: give {LEAST}')
    if not all(np.isfinite(values).all() for values in (spread, scores, errors)):
        raise ValueError('spreads, scores and errors have to be finite to be fitted')
    features = np.stack(
        [calibration_input(spread, scores, number, unit) for unit in ((1, 0), (0, 1))], 1
    )
    size = np.linalg.norm(errors, axis=-1)
    target = np.log(size + _ERROR_FLOOR)
    weights, _ = nnls(features - features.mean(0), target - target.mean())
    if not weights.any():
        weights = np.array([1.0, 0.0])

    at = features @ weights
    order = np.argsort(at, kind='stable')
    bins = np.array_split(order, max(min(len(order) // 250, 40), 4))
    knots = np.array([at[part].mean() for part in bins])
    distinct = np.concatenate([[True], np.diff(knots) > 1e-9])
    one, two = (np.array([np.quantile(size[part], share) for part in bins]) for share in WITHIN)
    sets = {'all': np.ones(len(errors), bool), **(groups or {})}
    sets = {name: part for name, part in sets.items() if part.any()}

    def line(between: float, factor: float) -> np.ndarray:
        lengths = np.exp((1 - between) * np.log(one + 1e-6) + between * np.log(two / 2 + 1e-6))
        return factor * isotonic_regression(lengths).x.clip(1e-3)

    def within(lengths: np.ndarray) -> dict[str, list[float]]:
        ratio = size / np.interp(at, knots[distinct], lengths[distinct])
        return {
            name: [float((ratio[part] <= n).mean()) for n in (1, 2)] for name, part in sets.items()
        }

    def miss(lengths: np.ndarray) -> float:
        return max(
            abs(share - wanted)
            for shares in within(lengths).values()
            for share, wanted in zip(shares, WITHIN)
        )

    lines = (
        line(between, factor)
        for between in np.linspace(0, 1.5, 16)
        for factor in np.geomspace(0.7, 1.4, 29)
    )
    lengths = min(lines, key=miss)
    return dict(
        sampling_steps=int(steps),
        num_hypotheses=int(number),
        weights=[float(w) for w in weights],
        inputs=[float(v) for v in knots[distinct]],
        lengths=[float(v) for v in lengths[distinct]],
        joints=len(errors),
        within=within(lengths),
    )
