"""The crop of a person: from a box in image pixels to the network's input, and points back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Placement:
    """Where a crop lies.

    Attributes:
        center: (x, y) in image pixels, float32.
        scale: (w, h) in image pixels, float32.
        size: (w, h) of the input, pixels.
        use_udp: Whether ``scale`` spans w - 1 input pixels (arXiv 1911.07524), or w.
    """

    center: np.ndarray
    scale: np.ndarray
    size: tuple[int, int]
    use_udp: bool

    @classmethod
    def of_box(
        cls, box: np.ndarray, size: tuple[int, int], padding: float, use_udp: bool
    ) -> Placement:
        """That of a box (4,) x1, y1, x2, y2 times ``padding``, grown to the input's aspect."""
        box = np.asarray(box, dtype=np.float32)
        width, height = (box[2:] - box[:2]) * padding
        aspect = size[0] / size[1]
        if width > height * aspect:
            height = width / aspect
        else:
            width = height * aspect
        center = (box[2:] + box[:2]) * 0.5
        return cls(center, np.array([width, height], dtype=np.float32), size, use_udp)

    def matrix(self) -> np.ndarray:
        """(2, 3) from image to input pixels."""
        size = np.array(self.size, dtype=np.float64)
        corner = self.center.astype(np.float64) - self.scale.astype(np.float64) / 2
        if self.use_udp:
            zoom = (size - 1) / self.scale
        else:
            # One zoom for both axes, that of the width, about the middle.
            zoom = np.full(2, size[0] / self.scale[0])
            corner = self.center - size / 2 / zoom
        shift = -corner * zoom
        return np.array([[zoom[0], 0, shift[0]], [0, zoom[1], shift[1]]], dtype=np.float32)

    def crop(self, image: np.ndarray) -> np.ndarray:
        """The crop (h, w, 3) of an image."""
        return cv2.warpAffine(image, self.matrix(), self.size, flags=cv2.INTER_LINEAR)

    def lengths(self, values: np.ndarray, extent: np.ndarray) -> np.ndarray:
        """Lengths (..., 2) of input pixels in image pixels; ``extent`` is what the scale spans."""
        return values * (self.scale / extent)

    def points(self, values: np.ndarray, extent: np.ndarray) -> np.ndarray:
        """Points (..., 2) of input pixels in image pixels."""
        return self.lengths(values, extent) + (self.center - 0.5 * self.scale)
