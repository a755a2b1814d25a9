"""A run over an archive: plans every video, gives units to workers, and reports at the end."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ..identity import value_identity
from .costs import Costs
from .engine import Settings
from .forecast import Waiting, seconds_left
from .manifest import Entry
from .output import Output, write_json
from .places import read_places
from .plan import Plan
from .progress import ProgressLine
from .stretch_reader import NotExactError
from .units import Answer, Death, Unit
from .video_job import PRIORITY, VideoJob

SAME_PLACE = 3
"""Deaths of workers in one place of a video; of those that crash by themselves, one less."""
MAX_DEATHS = 20
"""Of workers over one unit, each time elsewhere in it."""


class Pool(Protocol):
    """Workers; see :class:`.local_pool.LocalPool`."""

    kind: str

    def __len__(self) -> int: ...

    def idle(self) -> int:
        """How many workers have nothing to do."""

    def give(self, unit: Unit | None) -> None:
        """Give a unit to an idle worker; None asks it for its engine."""

    def wait(self, timeout: float) -> list[tuple[Unit | None, Any]]:
        """What has been answered; :class:`Death` in place of an answer."""

    def close(self) -> None:
        """End the workers."""


@dataclass
class Report:
    """What came of a run.

    Attributes:
        videos: All that were asked for.
        done: Of these, posed now.
        before: Of these, there already.
        failed: Video and reason of those that are not there; quarantined ones included.
        quarantined: Videos that kill their worker.
        frames, people, faults: Posed now: frames, person-frames, frames that cannot be read.
        video_seconds: Of what was posed now.
        seconds: That the run took.
        cpu_seconds: Of the processor, of all workers.
        deaths: Of workers.
        workers, pool: How many, and of which kind.
    """

    videos: int = 0
    done: int = 0
    before: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    quarantined: list[str] = field(default_factory=list)
    frames: int = 0
    people: int = 0
    faults: int = 0
    video_seconds: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    deaths: int = 0
    workers: int = 0
    pool: str = ''


class ArchiveRun:
    """Poses the videos of an archive.

    Args:
        entries: The videos.
        output: Opened.
        pool: The workers.
        stretch: Frames of a stretch, about; a video of less than one and a half is not cut.
        with_json: Write JSON as well.
        retry: Try quarantined videos again.
        say: Takes lines on progress.
        interval: Seconds between these.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        output: Output,
        pool: Pool,
        stretch: int = 2000,
        with_json: bool = False,
        retry: bool = False,
        say: Callable[[str], None] = print,
        interval: float = 30.0,
    ) -> None:
        self.entries, self.output, self.pool = list(entries), output, pool
        self.stretch, self.with_json, self.retry, self.say = stretch, with_json, retry, say
        self.report = Report(videos=len(self.entries), workers=len(pool), pool=pool.kind)
        self.plans: dict[str, Plan] = {}
        self._jobs: dict[str, VideoJob] = {}
        self._running: dict[tuple[str, str], tuple[Unit, float]] = {}
        self._settings: Settings | None = None
        self._costs = Costs()
        self._line = ProgressLine(say, interval)
        self._identity = ''

    def plan(self) -> list[Plan]:
        """Look at every video; those that cannot be read are in the report.

        Raises:
            OSError, ValueError: No video can be worked on.
        """
        todo: deque[Unit] = deque()
        for entry in self.entries:
            failure = self.output.failure(entry.key)
            if failure and failure['quarantined'] and not self.retry:
                self._failed(entry, failure['reason'], True)
                continue
            known = self.output.load_plan(entry)
            if known is None:
                todo.append(Unit('plan', 'plan', entry, work=self.output.work(entry.key)))
            else:
                self.plans[entry.key] = known
        while todo or self._running:
            if self._line.is_due():
                failed = len(self.report.failed)
                self._line.planned(len(self.plans), len(self.entries), failed)
            while todo and self.pool.idle():
                self._give(todo.popleft())
            for unit, answer in self.pool.wait(1.0):
                again = self._plan_answered(unit, answer)
                todo.extend([] if again is None else [again])
        return [self.plans[e.key] for e in self.entries if e.key in self.plans]

    def _plan_answered(self, unit: Unit | None, answer: Answer | Death) -> Unit | None:
        assert unit is not None
        self._take_back(unit)
        if isinstance(answer, Death):
            return None if self._died(unit, answer) else unit
        if answer.status == 'done':
            self.plans[unit.entry.key] = answer.found
            self.output.save_plan(answer.found)
            Path(unit.progress).unlink(missing_ok=True)
            with suppress(OSError):
                os.rmdir(unit.work)  # unless an earlier run has left something
        elif answer.status == 'fatal':
            raise OSError(answer.reason)
        else:
            self._failed(unit.entry, answer.reason)
        return None

    def __call__(self) -> Report:
        """Plan, and pose what is not there.

        Raises:
            OSError: The disk is full, or cannot be written to.
            ValueError: The model cannot be built; the output is of another run.
        """
        start = time.monotonic()
        try:
            plans = self.plan()
            missing = [p for p in plans if not self.output.is_done(p, self.with_json)]
            self.report.before = len(plans) - len(missing)
            if missing:
                self._introduce()
                self._work(missing)
        finally:
            self.pool.close()
            self.report.seconds = time.monotonic() - start
        write_json(self.output.path('report.json'), self.report.__dict__)
        return self.report

    def _introduce(self) -> None:
        """Build the engines, and compare what they depend on with the output."""
        # Every worker builds its own at once; the first one that has is asked.
        answer, deaths = None, 0
        while answer is None:
            while self.pool.idle():
                self.pool.give(None)
            for _, found in self.pool.wait(1.0):
                if not isinstance(found, Death):
                    answer = answer or found
                    continue
                deaths += 1
                if deaths > len(self.pool):
                    raise ValueError(f'{deaths} times a worker died while it built the model')
        if answer.status != 'done':
            raise ValueError(answer.reason)
        self._settings = answer.found['settings']
        self.output.check_identity(answer.found['identity'])
        self._identity = value_identity(answer.found['identity'])

    def _work(self, plans: Sequence[Plan]) -> None:
        assert self._settings is not None
        settings = self._settings
        waiting = Waiting(plans, self.stretch, settings.batch_size, settings.lead)
        total = waiting.frames
        while waiting or self._jobs:
            while self.pool.idle():
                unit = self._next(waiting)
                if unit is None:
                    break
                self._give(unit)
            for done, answer in self.pool.wait(1.0):
                if done is not None:  # else it has built its engine, later than another one
                    self._answered(done, answer)
            self._tell(waiting, total)

    def _next(self, waiting: Waiting) -> Unit | None:
        for priority in sorted(set(PRIORITY.values())):
            for key in list(self._jobs):
                try:
                    unit = self._jobs[key].take(priority)
                except NotExactError as error:
                    self._not_exact(self._jobs[key], self._jobs[key].plan, str(error))
                    unit = None
                if unit is not None:
                    return unit
        if not waiting:
            return None
        plan = waiting.pop()
        assert self._settings is not None
        self._jobs[plan.entry.key] = VideoJob(
            plan, self._settings, self.output, self.stretch, self.with_json, 2 * len(self.pool)
        )
        return self._next(waiting)

    def _not_exact(self, job: VideoJob, plan: Plan, reason: str) -> None:
        entry = job.plan.entry
        self.say(f'{entry.name} is decoded from its start for each stretch: {reason}')
        try:
            job.restart(plan, reason)
        except ValueError as twice:
            self._drop(entry, str(twice))

    def _answered(self, unit: Unit, answer: Answer | Death) -> None:
        started = self._take_back(unit)
        job = self._jobs.get(unit.entry.key)
        if isinstance(answer, Death):
            if not self._died(unit, answer) and job is not None:
                job.give_back(unit)
            return
        if answer.status == 'fatal':
            raise OSError(
                f'{answer.reason}. {self.report.done + self.report.before} videos are whole in '
                f'{self.output.folder}; the same command goes on from there'
            )
        if job is None:
            return
        self.report.cpu_seconds += answer.cpu
        if answer.status == 'failed':
            self._drop(unit.entry, answer.reason)
        elif answer.status == 'not exact':
            assert unit.plan is not None
            self._not_exact(job, unit.plan, answer.reason)
        else:
            seconds = time.monotonic() - started - answer.start_up
            self._costs.add_piece(unit.kind, job.frames_of(unit), seconds)
            self._costs.add_rate(unit.kind, *read_places(unit.progress)[1])
            if job.answered(unit):
                self._done(job, answer.found)

    def _done(self, job: VideoJob, counts: dict[str, int]) -> None:
        key, report = job.plan.entry.key, self.report
        report.done += 1
        report.frames += counts['frames']
        report.people += counts['people']
        report.faults += counts['faults']
        report.video_seconds += counts['frames'] / job.plan.fps if job.plan.fps else 0.0
        self.output.forget_failure(key)
        self.output.clear_work(key)
        del self._jobs[key]

    def _died(self, unit: Unit, death: Death) -> bool:
        """A worker has died over a unit; whether its video is given up."""
        key, (places, _) = unit.entry.key, read_places(unit.progress)
        self.report.deaths += 1
        deaths = self.output.add_death(key, unit.name, places)
        deaths = [other['places'] for other in deaths if other['unit'] == unit.name]
        enough = SAME_PLACE - death.by_itself
        same = {
            step: frame
            for step, frame in places.items()
            if sum(other.get(step) == frame for other in deaths) >= enough
        }
        if same:
            # Decoding goes on beside the other steps, and may be at the same frame by chance.
            where = '; '.join(f'{step}, frame {frame}' for step, frame in same.items())
            reason = f'killed a worker {enough} times in one place ({where})'
        elif len(deaths) >= MAX_DEATHS:
            reason = f'killed a worker {len(deaths)} times in different places'
        else:
            return False
        if key in self._jobs:
            self._drop(unit.entry, reason, True)
        else:
            self._failed(unit.entry, reason, True)
        return True

    def _drop(self, entry: Entry, reason: str, quarantined: bool = False) -> None:
        self._jobs.pop(entry.key, None)
        self._failed(entry, reason, quarantined)

    def _failed(self, entry: Entry, reason: str, quarantined: bool = False) -> None:
        self.report.failed[entry.path] = reason
        if quarantined:
            self.report.quarantined.append(entry.path)
        self.output.fail(entry, reason, quarantined)
        self.output.clear_work(entry.key)
        self.say(f'{entry.name} {"is quarantined" if quarantined else "failed"}: {reason}')

    def _give(self, unit: Unit) -> None:
        Path(unit.progress).unlink(missing_ok=True)  # of another worker
        self._running[unit.entry.key, unit.name] = unit, time.monotonic()
        self.pool.give(replace(unit, identity=self._identity))

    def _take_back(self, unit: Unit) -> float:
        return self._running.pop((unit.entry.key, unit.name))[1]

    def _tell(self, waiting: Waiting, total: int) -> None:
        if not self._line.is_due():
            return
        assert self._settings is not None
        uncounted = 1.5 * self._settings.batch_size
        costs, numbers = self._costs.copy(), {key: i for i, key in enumerate(self._jobs)}
        videos = [job.left() for job in self._jobs.values()]
        rest = [dict.fromkeys(PRIORITY, 0.0) for _ in videos]  # frames of each kind
        running = []
        for unit, _ in self._running.values():
            if unit.entry.key in numbers:  # and not given up
                number = numbers[unit.entry.key]
                _, passed = read_places(unit.progress)
                costs.add_rate(unit.kind, *passed)
                frames = self._jobs[unit.entry.key].frames_of(unit) - passed.frames
                # The last batch that is through has not been counted, nor half of the next one.
                frames = max(0.0, frames - (uncounted if passed.frames else 0.0))
                running.append((number, unit.kind, frames))
                rest[number][unit.kind] += frames
        for frames_of, video in zip(rest, videos):
            for kind, frames in video.pieces:
                frames_of[kind] += frames
        kinds = {k for frames_of in rest for k, n in frames_of.items() if n} | waiting.kinds
        guessed = any(not costs.is_measured(kind) for kind in kinds - {'finish'})
        open_frames = sum(max(f['whole'], f['find'], f['pose']) for f in rest)
        gone = max(0.0, total - waiting.frames - open_frames)
        left = seconds_left(costs, videos, running, waiting, len(self.pool))
        done, failed = self.report.done + self.report.before, len(self.report.failed)
        self._line.posed(done, len(self.entries), gone, total, left, failed, guessed)
