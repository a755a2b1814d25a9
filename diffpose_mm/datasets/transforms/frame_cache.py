"""A bounded cache of decoded frames."""

from collections import OrderedDict

import numpy as np


class FrameCache:
    """The most recently used decoded frames, up to a number of bytes.

    Args:
        max_bytes (int): The bound; a frame larger than it is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._frames: OrderedDict[str, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self._frames)

    def get(self, path: str) -> np.ndarray | None:
        """The frame, or None if it is not held."""
        frame = self._frames.get(path)
        if frame is not None:
            self._frames.move_to_end(path)
        return frame

    def put(self, path: str, frame: np.ndarray) -> None:
        """Hold a frame, and let the least recently used ones go."""
        if frame.nbytes > self.max_bytes or path in self._frames:
            return
        self._frames[path] = frame
        self.num_bytes += frame.nbytes
        while self.num_bytes > self.max_bytes:
            self.num_bytes -= self._frames.popitem(last=False)[1].nbytes
