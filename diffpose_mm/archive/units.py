"""Units of work: what a worker is told to do, does, and answers. All of them can be done twice."""

import errno
import os
import os.path as osp
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .engine import Engine, EngineSource
from .finish import finish_video, joined
from .manifest import Entry
from .plan import Plan, plan_video
from .stages import (
    PoseTask,
    find_stretch,
    pose_stretch,
    pose_whole,
    write_entries,
)
from .stretch_reader import NotExactError

NO_FRAME = -1
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
"""Errors that are not the video's fault: whatever comes next fails as well."""


@dataclass(frozen=True)
class Unit:
    """One thing to do.

    Attributes:
        kind: 'plan', 'whole', 'find', 'pose' or 'finish'.
        name: Of the unit, one of its kind and video.
        entry: The video.
        plan: Of the video; None for 'plan'.
        work: Folder of what is kept of the video.
        out: File that is written. Of 'whole' and 'finish' the table.
        json: The JSON of these, or None.
        first, end: Of 'find', the stretch.
        task: Of 'pose'.
        parts: Of 'finish', the files of poses in order.
    """

    kind: str
    name: str
    entry: Entry
    plan: Plan | None = None
    work: str = ''
    out: str = ''
    json: str | None = None
    first: int = 0
    end: int | None = None
    task: PoseTask | None = None
    parts: tuple[str, ...] = ()

    @property
    def progress(self) -> str:
        """File that says which frame is being decoded."""
        return osp.join(self.work, f'{self.name}.frame')


@dataclass(frozen=True)
class Answer:
    """What came of a unit.

    Attributes:
        status: 'done'; 'failed' (the video's fault), 'not exact' (to be decoded from its start) or
            'fatal' (nobody else will do better).
        reason: In words, unless it is done.
        found: Of 'plan' the :class:`Plan`, else counts of frames and people.
        seconds, cpu: That it took, by the clock and of the processor.
    """

    status: str
    reason: str = ''
    found: Any = None
    seconds: float = 0.0
    cpu: float = 0.0


class Worker:
    """Does units, one after the other; the engine is built once, when it is first needed.

    Args:
        source: Where the engine comes from.
        more: Arguments of its function for this worker alone, as its device.
        threads: Of the processor, for each worker; None leaves them as they are.
    """

    def __init__(
        self, source: EngineSource, more: Mapping[str, Any], threads: int | None = None
    ) -> None:
        self.source, self.more = source, dict(more)
        self._engine: Engine | None = None
        if threads is not None:
            import cv2
            import torch

            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)

    def engine(self) -> Engine:
        """The engine."""
        if self._engine is None:
            self._engine = self.source.build(**self.more)
        return self._engine

    def introduce(self) -> dict[str, Any]:
        """What the main process has to know of the engine: ``settings`` and ``identity``."""
        engine = self.engine()
        return dict(settings=engine.settings, identity=dict(engine.identity))

    def __call__(self, unit: Unit) -> Answer:
        """Do a unit; whatever goes wrong is in the answer."""
        if unit.kind != 'plan':
            try:
                self.engine()
            except Exception as error:
                return Answer('fatal', _words(error))
        start, cpu = time.perf_counter(), time.process_time()
        status, reason, found = 'done', '', None
        try:
            found = self._do(unit)
        except NotExactError as error:
            status, reason = 'not exact', str(error)
        except Exception as error:
            full = isinstance(error, OSError) and _number(error) in FULL
            status = 'fatal' if full or isinstance(error, ImportError) else 'failed'
            reason = _words(error)
            if not isinstance(error, (OSError, ValueError, ImportError)):
                reason = f'{type(error).__name__}: {reason}'
        return Answer(status, reason, found, time.perf_counter() - start, time.process_time() - cpu)

    def _do(self, unit: Unit) -> Any:
        if unit.kind == 'plan':
            return plan_video(unit.entry)
        plan = unit.plan
        assert plan is not None
        engine = self.engine().of_entry(unit.entry)
        with _Watch(unit) as watch:
            if unit.kind == 'find':
                entries = find_stretch(engine, plan, unit.first, unit.end, watch)
                return write_entries(unit.out, entries)
            if unit.kind == 'pose':
                assert unit.task is not None
                return write_entries(unit.out, pose_stretch(engine, plan, unit.task, watch))
            whole: Iterable[dict] = (
                pose_whole(engine, plan, watch)
                if unit.kind == 'whole'
                else joined(engine, plan, unit.parts)
            )
            return finish_video(engine, plan, whole, unit.out, unit.json, unit.work)


class _Watch:
    """Writes the frame that is being decoded where it outlives the process."""

    def __init__(self, unit: Unit) -> None:
        self.path = unit.progress

    def __enter__(self) -> Any:
        os.makedirs(osp.dirname(self.path), exist_ok=True)
        self._file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)

        def watch(number: int) -> None:
            os.pwrite(self._file, b'%012d' % number, 0)

        return watch

    def __exit__(self, *error: object) -> None:
        os.close(self._file)


def frame_of(unit: Unit) -> int:
    """The frame that a unit was decoding when its worker died, or ``NO_FRAME``."""
    try:
        with open(unit.progress, 'rb') as file:
            return int(file.read() or NO_FRAME)
    except (OSError, ValueError):
        return NO_FRAME


def _words(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


def _number(error: OSError) -> int | None:
    """The number of an error, or of the one that it names a file for."""
    cause = error.__cause__
    return error.errno or (cause.errno if isinstance(cause, OSError) else None)
