"""Detectors that come with the package, by the short names that ``--det-model`` takes for them."""

from collections.abc import Callable

from .interface import Detector
from .multipose import NAME, MultiPoseDetector

SHIPPED: dict[str, Callable[[str | None], Detector]] = {NAME: MultiPoseDetector}
"""Name -> from a device to the detector. They are tried in this order where none is named and
RTMDet-m cannot be had; making one reads no file, which is left to ``prepare``."""
