"""Boxes that the user gives, as the runtime reads them; warnings go to the log of mmengine."""

import logging

from mmengine.logging import print_log

from diffpose_mm_runtime import boxes
from diffpose_mm_runtime.boxes import read_boxes

__all__ = ['GivenBoxes', 'read_boxes']


class GivenBoxes(boxes.GivenBoxes):
    """See the runtime's."""

    def warn(self, message: str) -> None:
        """Say what is left out."""
        print_log(message, logger='current', level=logging.WARNING)
