"""An output format: the boxes of a clip's tracks, a line each, as MOTChallenge has them."""

import os.path as osp

from diffpose_mm.apis import FORMATS, Result, RunInfo, Sink
from diffpose_mm.files import atomic_write


class TrackText(Sink):
    """``frame,id,left,top,width,height,score,-1,-1,-1``; frames and ids from 1, pixels."""

    def __init__(self, folder: str, info: RunInfo) -> None:
        if not info.source.is_clip:
            raise ValueError('track_text: pictures that are no clip have no tracks')
        self.files = [osp.join(folder, info.stem + '.txt')]
        self.lines: list[str] = []

    def write(self, result: Result) -> None:
        """Add the people of a frame."""
        for person in result.instances():
            (x1, y1, x2, y2), score = person['bbox'][0], person['bbox_score']
            box = f'{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}'
            self.lines.append(
                f'{result.frame.index + 1},{person["track_id"] + 1},{box},{score:.4f},-1,-1,-1\n'
            )

    def finish(self) -> None:
        """Write the file, whole or not at all."""
        with atomic_write(self.files[0]) as file:
            file.writelines(self.lines)


FORMATS['track_text'] = TrackText
