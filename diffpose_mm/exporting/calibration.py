"""Real clips, on which an int8 export learns its ranges and is compared with the model."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from diffpose_mm_runtime.boxes import GivenBoxes, read_boxes
from diffpose_mm_runtime.crops import Placement
from diffpose_mm_runtime.frames import read_frames
from diffpose_mm_runtime.windows import Frame, Window, iterate_windows

MOST = 64
"""People that are taken; more change the ranges little and cost time."""


def calibration_clips(
    source: str | Path, boxes: str | Path, settings: dict[str, Any], most: int = MOST
) -> np.ndarray:
    """Clips of people of a video, spread evenly over it, as the networks see them.

    Args:
        source: Video file, or folder of its frames.
        boxes: File with the boxes of each frame, as ``infer --boxes`` takes it.
        settings: See :func:`export_settings`.
        most: Number of clips at most.

    Returns:
        np.ndarray: (M, T, 3, h, w) float32, normalised.

    Raises:
        FileNotFoundError: There is no such video or file.
        ValueError: They cannot be read, or nobody is in them.
    """
    find = GivenBoxes(read_boxes(str(boxes)))
    offsets = tuple(settings['frame_offsets'])

    def people() -> Iterator[tuple[Window, np.ndarray]]:
        frames, _ = read_frames(source)
        for window in iterate_windows(_readable(frames), offsets):
            image = np.asarray(window.frame.image)
            for person in find.of(window.frame.index, image.shape):
                yield window, person.box

    count = sum(1 for _ in people())
    if not count:
        raise ValueError(f'{boxes} has nobody in {source}: give boxes of people in that video')
    # Read twice, as crops of a long video are not to be held all at once.
    step = max(count / most, 1.0)
    wanted = {int(step * i) for i in range(min(count, most))}
    return np.stack(
        [
            _clip(window, box, settings)
            for number, (window, box) in enumerate(islice(people(), max(wanted) + 1))
            if number in wanted
        ]
    )


def _readable(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Those with an image; neighbours of a gap are neighbours here."""
    return (frame for frame in frames if frame.image is not None)


def _clip(window: Window, box: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """The crops (T, 3, h, w) of a window in the place of a box."""
    size = settings['codec']['input_size']
    place = Placement.of_box(box, tuple(size), settings['padding'], settings['use_udp'])
    return np.stack(
        [place.normalised(np.asarray(frame.image), settings) for frame in window.frames]
    )
