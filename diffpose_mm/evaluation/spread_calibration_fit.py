"""Fit of the map from the spread of hypotheses to the standard deviation of the error.

The map is that of :class:`diffpose_mm_runtime.spread_calibration.SpreadCalibration`. Lengths are
input pixels, and x and y of a joint are two cases.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from diffpose_mm_runtime.spread_calibration import calibration_input

__all__ = ['WITHIN', 'coverage', 'fit_table']

WITHIN = (0.683, 0.954)
"""Shares of a normal distribution within one and within two standard deviations."""
LEAST = 200
"""Cases, x and y of joints, below which nothing is fitted."""
_ERROR_FLOOR = 0.1


def coverage(errors: np.ndarray, stds: np.ndarray) -> tuple[float, float]:
    """Shares of the errors within one and within two standard deviations, along an axis each."""
    ratio = np.abs(errors) / stds
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

    The logarithm of the error is regressed, with weights that cannot be negative, on those of the
    spread and on the score. Along what comes out, cases are put in bins, and the standard deviation
    of a bin lies between its 68.3 % quantile and half of its 95.4 % quantile, which are the same
    for normal errors. Errors of joints have longer tails. So where between the two, and a factor
    on all, are chosen such that both shares are met over all cases and over each group; then the
    line is made monotone (isotonic regression).

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
    if errors.size < LEAST:
        raise ValueError(
            f'{len(errors)} annotated joints are too few to calibrate: {LEAST // 2} at least'
        )
    if not all(np.isfinite(values).all() for values in (spread, scores, errors)):
        raise ValueError('spreads, scores and errors have to be finite to be fitted')
    parts = [calibration_input(spread, scores, number, np.eye(3)[i]).reshape(-1) for i in range(3)]
    features = np.stack(parts, 1)
    target = np.log(np.abs(errors.reshape(-1)) + _ERROR_FLOOR)
    weights, _ = nnls(features - features.mean(0), target - target.mean())
    if not weights.any():
        weights = np.array([1.0, 0.0, 0.0])

    at, size = features @ weights, np.abs(errors.reshape(-1))
    order = np.argsort(at, kind='stable')
    bins = [part for part in np.array_split(order, max(min(len(order) // 400, 40), 4)) if len(part)]
    knots = np.array([at[part].mean() for part in bins])
    distinct = np.concatenate([[True], np.diff(knots) > 1e-9])
    one, two = (np.array([np.quantile(size[part], q) for part in bins]) for q in WITHIN)
    sets = {'all': np.ones(len(errors), bool), **(groups or {})}
    sets = {name: np.repeat(part, 2) for name, part in sets.items() if part.any()}

    def line(share: float, factor: float) -> np.ndarray:
        stds = np.exp((1 - share) * np.log(one + 1e-6) + share * np.log(two / 2 + 1e-6))
        return factor * isotonic_regression(stds).x.clip(1e-3)

    def miss(stds: np.ndarray) -> float:
        ratio = size / np.interp(at, knots[distinct], stds[distinct])
        return max(
            abs((ratio[part] <= n).mean() - WITHIN[n - 1]) for part in sets.values() for n in (1, 2)
        )

    lines = (
        line(share, factor)
        for share in np.linspace(0, 1.5, 16)
        for factor in np.geomspace(0.7, 1.4, 29)
    )
    stds = min(lines, key=miss)
    ratio = size / np.interp(at, knots[distinct], stds[distinct])
    return dict(
        sampling_steps=int(steps),
        num_hypotheses=int(number),
        weights=[float(w) for w in weights],
        inputs=[float(v) for v in knots[distinct]],
        stds=[float(v) for v in stds[distinct]],
        joints=len(errors),
        within={
            name: [float((ratio[part] <= n).mean()) for n in (1, 2)] for name, part in sets.items()
        },
    )
