"""MOTChallenge: boxes of tracked people, a line each, for evaluations of tracking."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..files import atomic_write
from .folders import fresh_folder
from .table import PoseTable


def write_mot(table: PoseTable, folder: Path, stem: str) -> None:
    """Write ``STEM.txt`` and ``seqinfo.ini``.

    A line is frame, id, left, top, width, height, score, -1, -1, -1. As MOTChallenge counts, all
    begin with 1: frame 0 is 1, track 0 is 1, and the first pixel is (1, 1). Poses without a place
    are left out.

    Args:
        table: The poses; the size of the frames has to be known.
        folder: Where to.
        stem: Name of the sequence.

    Raises:
        OSError: It cannot be written.
    """
    fresh_folder(folder, f'{stem}.txt')
    table = table.with_all_tracks()
    with atomic_write(folder / f'{stem}.txt') as file:
        for pose in range(len(table)):
            box = table.box_of(pose)
            if not np.isfinite(box).all():
                continue
            x1, y1, x2, y2 = box.tolist()
            first = f'{table.frame[pose] + 1},{table.track[pose] + 1}'
            sides = f'{x1 + 1:.3f},{y1 + 1:.3f},{x2 - x1:.3f},{y2 - y1:.3f}'
            file.write(f'{first},{sides},{table.pose_score(pose):.6f},-1,-1,-1\n')
    width, height = table.image_size or (0, 0)
    with atomic_write(folder / 'seqinfo.ini') as file:
        file.write(
            f'[Sequence]\nname={stem}\nimDir=img1\nframeRate={table.fps or 0:g}\n'
            f'seqLength={table.num_frames}\nimWidth={width}\nimHeight={height}\nimExt=.jpg\n'
        )
