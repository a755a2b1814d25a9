"""What takes the results of a run: the contract that all output formats share."""

import logging
import os
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.logging import print_log

from .frame_source import FrameSource
from .records import Result

FORMAT = 'diffpose_mm predictions 2'


@dataclass
class RunInfo:
    """What sinks may know of a run.

    Attributes:
        source: Where the frames come from; opened.
        keypoints: Names, in the order of the predictions.
        absent: Names of those that the model does not have; they have score 0 in every pose.
        skeleton: Pairs of indices into ``keypoints``.
        identity: What the results depend on.
        with_hypotheses: Whether hypotheses are kept.
        resume: Whether a run that was interrupted goes on.
        stems: Of pictures apart: what the outputs of each are called, without extension.
    """

    source: FrameSource
    keypoints: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    skeleton: list[list[int]] = field(default_factory=list)
    identity: dict[str, Any] = field(default_factory=dict)
    with_hypotheses: bool = False
    resume: bool = False
    stems: Sequence[str] = ()

    @property
    def stem(self) -> str:
        """What the outputs of a clip are called, without extension."""
        return osp.splitext(self.source.name)[0]

    def meta(self) -> dict[str, Any]:
        """What a reader of predictions needs to know; docs/predictions.md has the fields."""
        source = self.source
        return dict(
            format=FORMAT,
            keypoints=self.keypoints,
            skeleton=self.skeleton,
            **(dict(absent=self.absent) if self.absent else {}),
            fps=None if source.fps is None else float(source.fps),
            pixel_aspect_ratio=float(source.pixel_aspect_ratio),
            coordinates='pixels of the image as shown, x to the right, y down',
        )


class Sink:
    """Where results go, one after the other in the order of their frames.

    A new output format is a subclass, and its name in :data:`~.formats.FORMATS`. Nothing is
    written before :meth:`open`.

    Attributes:
        files: Paths that will be written, for checks and reports.
    """

    files: Sequence[str] = ()

    def open(self) -> None:
        """Begin; called once, when the run begins."""

    def write(self, result: Result) -> None:
        """Take one result.

        Raises:
            OSError: It cannot be written; names the file.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """The input has ended: complete the files."""

    def failed(self) -> None:
        """The run ends with an error: say what is kept."""

    def close(self) -> None:
        """In any case, last."""


def set_aside(path: str, why: str) -> None:
    """Give an existing file a free name that ends in .old, and say so."""
    number = 1
    while osp.exists(old := f'{path}.old{number if number > 1 else ""}'):
        number += 1
    os.replace(path, old)
    print_log(f'{path} {why}; it is now {old}', logger='current', level=logging.WARNING)
