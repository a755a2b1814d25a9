"""Who is in a frame, and what finds the people of a run: boxes given, a detector or the image."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from diffpose_mm_runtime.people import Person

__all__ = ['WHOLE_IMAGE', 'PeopleFinder', 'Person', 'WholeImage', 'whole_image']

WHOLE_IMAGE = ('whole_image', 'whole-image')


class PeopleFinder(Protocol):
    """Finds the people of some frames in a row."""

    slow: bool
    """Whether it pays to run it in a thread of its own."""

    def prepare(self) -> None:
        """Build what takes time.

        Raises:
            ValueError: It cannot be built.
        """

    def identity(self) -> dict:
        """What its results depend on, for telling runs apart."""

    def __call__(self, indices: Sequence[int], images: Sequence[np.ndarray]) -> list[list[Person]]:
        """The people of each frame.

        Args:
            indices: Numbers of the frames.
            images: The frames, HxWx3 BGR.
        """


class WholeImage:
    """One person a frame, as large as it."""

    slow = False

    def prepare(self) -> None:
        """There is nothing to build."""

    def identity(self) -> dict:
        """See :class:`PeopleFinder`."""
        return dict(kind='whole image')

    def __call__(self, indices: Sequence[int], images: Sequence[Any]) -> list[list[Person]]:
        """See :class:`PeopleFinder`."""
        return [whole_image(image) for image in images]


def whole_image(frame: np.ndarray) -> list[Person]:
    """One person as large as the frame."""
    height, width = frame.shape[:2]
    return [Person(np.array([0, 0, width, height], dtype=np.float32))]
