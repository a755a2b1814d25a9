"""Units of work: what a worker is told to do, does, and answers. All of them can be done twice."""

import errno
import os.path as osp
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..identity import value_identity
from .engine import Engine, EngineSource
from .finish import finish_video, joined
from .manifest import Entry
from .places import Places
from .plan import Plan, plan_video
from .stages import (
    PoseTask,
    find_stretch,
    pose_stretch,
    pose_whole,
    write_entries,
)
from .stretch_reader import NotExactError

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
        identity: Digest of what the engine's results have to depend on; '' takes any.
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
    identity: str = ''

    @property
    def progress(self) -> str:
        """File that says where the worker is."""
        return osp.join(self.work, f'{self.name}.places')


@dataclass(frozen=True)
class Answer:
    """What came of a unit.

    Attributes:
        status: 'done'; 'failed' (the video's fault), 'not exact' (to be decoded from its start) or
            'fatal' (nobody else will do better).
        reason: In words, unless it is done.
        found: Of 'plan' the :class:`Plan`, else counts of frames and people.
        seconds, cpu: That it took, by the clock and of the processor.
        start_up: Seconds before, in which the worker built its engine.
    """

    status: str
    reason: str = ''
    found: Any = None
    seconds: float = 0.0
    cpu: float = 0.0
    start_up: float = 0.0


@dataclass(frozen=True)
class Death:
    """What comes in place of an answer if the worker has died.

    Attributes:
        by_itself: It crashed. False also where that is not known: it may have been killed from
            outside, or by the kernel for want of memory.
    """

    by_itself: bool = False


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

    def answer_introduction(self) -> Answer:
        """The same as an answer; what goes wrong is fatal."""
        try:
            return Answer('done', found=self.introduce())
        except Exception as error:
            return Answer('fatal', _words(error))

    def __call__(self, unit: Unit) -> Answer:
        """Do a unit; whatever goes wrong is in the answer."""
        begun = time.perf_counter()
        if unit.kind != 'plan':
            try:
                told = value_identity(dict(self.engine().identity))
            except Exception as error:
                return Answer('fatal', _words(error))
            if unit.identity not in ('', told):
                return Answer(
                    'fatal',
                    'a worker has another model or detector than the first one: '
                    f'{dict(self.engine().identity)}',
                )
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
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        return Answer(status, reason, found, seconds, cpu, start - begun)

    def _do(self, unit: Unit) -> Any:
        places = Places(unit.progress)
        try:
            if unit.kind == 'plan':
                with places.within('open', 0):
                    return plan_video(unit.entry)
            return self._pass(unit, places)
        finally:
            places.close()

    def _pass(self, unit: Unit, places: Places) -> Any:
        plan, engine = unit.plan, self.engine().of_entry(unit.entry)
        assert plan is not None
        if unit.kind == 'find':
            found = find_stretch(engine, plan, unit.first, unit.end, places)
            return write_entries(unit.out, found)
        if unit.kind == 'pose':
            assert unit.task is not None
            return write_entries(unit.out, pose_stretch(engine, plan, unit.task, places))
        if unit.kind == 'whole':
            whole = pose_whole(engine, plan, places)
            return finish_video(engine, plan, whole, unit.out, unit.json, unit.work)
        with places.within('finish', 0):
            entries = joined(engine, plan, unit.parts)
            return finish_video(engine, plan, entries, unit.out, unit.json, unit.work)


def _words(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__


def _number(error: OSError) -> int | None:
    """The number of an error, or of the one that it names a file for."""
    cause = error.__cause__
    return error.errno or (cause.errno if isinstance(cause, OSError) else None)
