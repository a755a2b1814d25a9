"""What a format cannot hold of the poses that it is to be written of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .formats import PoseFormat
from .table import NO_TRACK, PoseTable

FEATURES: dict[str, tuple[str, Callable[[PoseTable], bool]]] = dict(
    keypoints=('all keypoints', lambda table: bool(table.present.any())),
    tracks=(
        'numbers of the people',
        lambda table: bool((table.track != NO_TRACK).any()),
    ),
    scores=('scores of the keypoints', lambda table: bool(np.isfinite(table.scores).any())),
    deviations=(
        'the spread of the keypoints (keypoint_std)',
        lambda table: bool(np.isfinite(table.deviations).any()),
    ),
    boxes=('boxes', lambda table: bool(np.isfinite(table.boxes).any())),
    box_scores=(
        'scores of the boxes as they are',
        lambda table: bool(np.isfinite(table.box_scores).any()),
    ),
    times=(
        'times of the frames, which are not those of an even rate from 0',
        lambda table: not table.even_rate,
    ),
    frames=(
        'frames without people',
        lambda table: len(np.unique(table.frame)) < len(table.frames),
    ),
    sizes=('sizes of frames that differ', lambda table: bool(table.frame_sizes)),
    faults=('why frames cannot be read', lambda table: bool(table.faults)),
)
"""What there is to hold: words for it, and whether a table has it."""


def losses(table: PoseTable, pose_format: PoseFormat) -> list[str]:
    """What is lost when a table is written in a format, a phrase each; nothing if all is kept.

    Args:
        table: The poses.
        pose_format: An entry of :data:`~.formats.POSE_FORMATS`.

    Raises:
        ValueError: The format can hold none of the keypoints.
    """
    found = [
        words
        for name, (words, has) in FEATURES.items()
        if name not in pose_format.holds and has(table)
    ]
    there = np.array(table.keypoints)[table.present.any(0)] if len(table) else np.array([])
    gone = [name for name in there if name not in pose_format.fitted(table).keypoints]
    if gone:
        found.append(f'keypoints {", ".join(gone)}')
    return found + list(table.left_out)
