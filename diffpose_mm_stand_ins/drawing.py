"""For mmpose's OpenCV visualizer, which calls ``int`` on a radius that is an array."""

import functools
import warnings
from types import ModuleType
from typing import Any

import numpy as np


def _arrays_are_no_numbers() -> bool:
    """Whether numpy refuses ``int(np.array([3]))``, as it does from 2.4 on."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        try:
            int(np.zeros(1))
        except TypeError:
            return True
    return False


def correct(module: ModuleType) -> None:
    """Let ``draw_circles`` of the OpenCV backend take an array of one number as radius."""
    visualizer = module.OpencvBackendVisualizer
    original = visualizer.draw_circles
    if not _arrays_are_no_numbers():
        return

    @functools.wraps(original)
    def draw_circles(self: Any, center: Any, radius: Any, *args: Any, **kwargs: Any) -> Any:
        if self.backend == 'opencv':
            radius = np.asarray(radius).item()
        return original(self, center, radius, *args, **kwargs)

    visualizer.draw_circles = draw_circles
