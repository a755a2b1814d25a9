"""Poses made steady over time: a causal filter, and a smoother that knows what is sure."""

from .files import smooth_file, smoothed_name
from .one_euro import OneEuro
from .rts import RTS
from .smoothed import METHODS, CausalSmoother, smooth_predictions

__all__ = [
    'METHODS',
    'RTS',
    'CausalSmoother',
    'OneEuro',
    'smooth_file',
    'smooth_predictions',
    'smoothed_name',
]
