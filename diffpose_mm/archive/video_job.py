"""One video on its way through the archive: what units it gives, and what answers lead to."""

import os.path as osp
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from .engine import Settings
from .forecast import VideoLeft
from .joiner import Joiner
from .output import Output
from .plan import Plan
from .stages import PoseTask, read_entries
from .units import Unit

PRIORITY = dict(finish=0, pose=1, find=2, whole=2, plan=3)
"""What completes a video comes first, so that little lies about half done."""


class VideoJob:
    """A video that is planned and not done.

    Args:
        plan: Of the video.
        settings: Of the run, with the options of the video.
        output: Where everything is kept.
        stretch: Frames of a stretch, about.
        with_json: Write JSON as well.
        ahead: Stretches whose people may wait, in memory, to be posed.

    Attributes:
        plan: It changes if the video turns out to need decoding from its start.
        edges: First frame of each stretch.
    """

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        output: Output,
        stretch: int,
        with_json: bool,
        ahead: int,
    ) -> None:
        self.output, self.with_json = output, with_json
        self.settings = settings.with_options(plan.entry.options)
        self._stretch, self._ahead = stretch, ahead
        self._begin(plan)

    def _begin(self, plan: Plan) -> None:
        self.plan, key = plan, plan.entry.key
        self.edges = plan.edges(self._stretch, self.settings.batch_size)
        layout = dict(edges=self.edges, from_start=plan.from_start, settings=repr(self.settings))
        self.output.prepare_work(plan, layout)
        self._ready: deque[Unit] = deque()
        self._found: set[int] = set()
        self._fed = self._posing = 0
        self._posed: list[str] = []  # files, in order
        self._waiting: set[str] = set()  # of these, not written yet
        self._joiner = Joiner(self.settings, self.edges) if self.is_cut else None
        self._joined = False
        if not self.is_cut:
            self._ready.append(self._unit('whole', 'whole', out=self.output.parquet(key)))
            return
        for number, first in enumerate(self.edges):
            end = self.edges[number + 1] if number + 1 < len(self.edges) else None
            name = f'find-{first:09d}'
            unit = self._unit('find', name, out=self._file(name), first=first, end=end)
            if osp.exists(unit.out):
                self._found.add(number)
            else:
                self._ready.append(unit)

    @property
    def is_cut(self) -> bool:
        """Whether it is more than one stretch."""
        return len(self.edges) > 1

    def _file(self, name: str) -> str:
        return self.output.work(self.plan.entry.key, f'{name}.jsonl')

    def _unit(self, kind: str, name: str, **fields: object) -> Unit:
        key = self.plan.entry.key
        json = self.output.json(key) if self.with_json and kind in ('whole', 'finish') else None
        work = self.output.work(key)
        return Unit(kind, name, self.plan.entry, self.plan, work, json=json, **fields)  # type: ignore

    def take(self, most_urgent: int) -> Unit | None:
        """The next unit of a priority, if there is one."""
        self._pump()
        for unit in self._ready:
            if PRIORITY[unit.kind] <= most_urgent:
                self._ready.remove(unit)
                return unit
        return None

    def give_back(self, unit: Unit) -> None:
        """Its worker has died: somebody else is to do it."""
        if unit.plan is self.plan:
            self._ready.append(unit)

    def answered(self, unit: Unit) -> bool:
        """A unit is done; whether the video is, with it."""
        if unit.plan is not self.plan:
            return False  # of before it was begun again
        if unit.kind == 'find':
            self._found.add(self.edges.index(unit.first))
        elif unit.kind == 'pose':
            self._waiting.discard(unit.out)
        return unit.kind in ('whole', 'finish')

    def restart(self, plan: Plan | None, reason: str) -> None:
        """It cannot be entered in its middle: begin again, decoding from the start.

        Raises:
            ValueError: That is what was done already.
        """
        if plan is not self.plan:
            return  # begun again already
        if self.plan.from_start:
            raise ValueError(
                f'{self.plan.entry.path} is not the same when it is read twice: {reason}'
            )
        changed = replace(self.plan, from_start=reason)
        self.output.save_plan(changed)
        self._begin(changed)

    def _pump(self) -> None:
        """Track what was found, as far as there is room for it."""
        while (
            self._joiner is not None
            and self._fed in self._found
            and sum(unit.kind == 'pose' for unit in self._ready) < self._ahead
        ):
            name = f'find-{self.edges[self._fed]:09d}'
            self._add(self._joiner.feed(read_entries(self._file(name))))
            self._fed += 1
            if self._fed == len(self.edges):
                self._add(self._joiner.finish())
                self._joiner, self._joined = None, True
        if self._joined and not self._waiting:
            self._joined = False
            out = self.output.parquet(self.plan.entry.key)
            self._ready.append(self._unit('finish', 'finish', out=out, parts=tuple(self._posed)))

    def _add(self, tasks: Iterator[PoseTask]) -> None:
        for task in tasks:
            name = f'pose-{task.first:09d}'
            out = self._file(name)
            self._posed.append(out)
            if not osp.exists(out):
                self._waiting.add(out)
                self._ready.append(self._unit('pose', name, out=out, task=task))

    def left(self) -> VideoLeft:
        """What is left of it, without what is under way."""
        left = VideoLeft.of_edges(self.edges, self.plan.end, self.settings.lead)
        ready = {unit.name: unit for unit in self._ready}
        if not self.is_cut:
            return left if ready else VideoLeft()
        left.found = len(self._found)
        left.finds = [
            frames for first, frames in zip(self.edges, left.finds) if f'find-{first:09d}' in ready
        ]
        poses = [(self.frames_of(unit), 0) for unit in ready.values() if unit.kind == 'pose']
        left.posing = len(self._waiting) - len(poses)
        tracked = self._joiner is None
        left.poses = poses + ([] if tracked else left.poses[len(self._posed) :])
        if tracked and not self._joined and 'finish' not in ready:
            left.finish = 0.0
        return left

    def frames_of(self, unit: Unit) -> float:
        """Frames that go through a unit's pass."""
        if unit.kind == 'pose':
            assert unit.task is not None
            return max(0.0, float((unit.task.end or self.plan.end) - unit.task.lead))
        if unit.kind == 'find':
            return max(0.0, float((unit.end or self.plan.end) - unit.first))
        return float(self.plan.frames)
