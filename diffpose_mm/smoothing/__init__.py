"""Poses made steady over time: a causal filter, and a smoother that knows what is sure."""

from .one_euro import OneEuro
from .predictions import METHODS, CausalSmoother, smooth_predictions
from .rts import RTS

__all__ = ['METHODS', 'RTS', 'CausalSmoother', 'OneEuro', 'smooth_predictions']
