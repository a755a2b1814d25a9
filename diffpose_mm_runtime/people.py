"""One person of one frame."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Person:
    """One person of one frame.

    Attributes:
        box: (4,) x1, y1, x2, y2 in image pixels, float32.
        score: Of the box.
        track_id: The same number in all frames, or None.
    """

    box: np.ndarray
    score: float = 1.0
    track_id: int | None = None

    @classmethod
    def from_dict(cls, instance: dict) -> 'Person':
        """The person of a saved prediction."""
        return cls(
            np.asarray(instance['bbox'], dtype=np.float32).reshape(-1)[:4],
            float(instance.get('bbox_score', 1.0)),
            instance.get('track_id'),
        )
