"""The crop of a person: from a box in image pixels to the network's input, and points back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        scale = (box[2:] - box[:2]) * padding
        width, height = scale[:1], scale[1:]
        aspect = size[0] / size[1]
        grown = (width, width / aspect) if width > height * aspect else (height * aspect, height)
        center = (box[2:] + box[:2]) * 0.5
        return cls(center, np.concatenate(grown), size, use_udp)

    def matrix(self) -> np.ndarray:
        """(2, 3) from image to input pixels."""
        if not self.use_udp:
            # One zoom for both axes, that of the width, about the middle.
            source, target = (
                np.array([(x, y), (x - half, y), (x - half, y + half)], dtype=np.float32)
                for (x, y), half in (
                    (self.center, self.scale[0] * 0.5),
                    (np.array(self.size) * 0.5, self.size[0] * 0.5),
                )
            )
            return cv2.getAffineTransform(source, target)
        matrix = np.zeros((2, 3), dtype=np.float32)
        for axis in range(2):
            # In single precision throughout: warps of cv2 round places to fractions of a pixel.
            zoom = (self.size[axis] - 1) / self.scale[axis]
            matrix[axis, axis] = zoom
            matrix[axis, 2] = zoom * (0.5 * self.scale[axis] - self.center[axis])
        return matrix

    def crop(self, image: np.ndarray) -> np.ndarray:
        """The crop (h, w, 3) of an image."""
        return cv2.warpAffine(image, self.matrix(), self.size, flags=cv2.INTER_LINEAR)

    def normalised(self, image: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
        """The crop (3, h, w) of an image (h, w, 3), float32, as the networks take it.

        Args:
            image: BGR, uint8.
            settings: A manifest's ``bgr_to_rgb``, ``mean`` and ``std``.
        """
        crop = self.crop(image).transpose(2, 0, 1)
        crop = crop[::-1] if settings['bgr_to_rgb'] else crop
        mean, std = (
            np.array(settings[name], dtype=np.float32)[:, None, None] for name in ('mean', 'std')
        )
        return (crop.astype(np.float32) - mean) / std

    def lengths(self, values: np.ndarray, extent: np.ndarray) -> np.ndarray:
        """Lengths (..., 2) of input pixels in image pixels; ``extent`` is what the scale spans."""
        return values * (self.scale / extent)

    def points(self, values: np.ndarray, extent: np.ndarray) -> np.ndarray:
        """Points (..., 2) of input pixels in image pixels."""
        return self.lengths(values, extent) + (self.center - 0.5 * self.scale)
