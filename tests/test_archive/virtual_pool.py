"""Workers whose pieces take a known time of a clock that nobody waits for."""

import json
import os
import random
from dataclasses import dataclass, field
from types import SimpleNamespace

from diffpose_mm.archive import progress
from diffpose_mm.archive import run as archive_run
from diffpose_mm.archive.engine import Settings
from diffpose_mm.archive.manifest import read_entries
from diffpose_mm.archive.output import Output
from diffpose_mm.archive.places import Passed
from diffpose_mm.archive.plan import Plan
from diffpose_mm.archive.run import ArchiveRun
from diffpose_mm.archive.units import Answer

SETTINGS = Settings((-2, -1, 0, 1, 2), 'offline', 8)


@dataclass
class Truth:
    """What an archive is, and what its pieces take, in seconds."""

    lengths: list
    workers: int
    rates: dict  # seconds of a frame in each kind of piece
    stretch: int = 2000
    start_up: float = 0.0  # of a worker, with its first piece
    planning: float = 0.0  # of a video
    fill: float = 0.0  # of a piece, until its first batch is through
    settings: Settings = field(default_factory=lambda: SETTINGS)


class VirtualPool:
    """A pool; ``now`` is the time."""

    kind = 'virtual'

    def __init__(self, truth):
        self.truth, self.now = truth, 0.0
        self._busy, self._free, self._built = {}, list(range(truth.workers)), set()

    def __len__(self):
        return self.truth.workers

    def idle(self):
        return len(self._free)

    def give(self, unit):
        worker, begin, truth = self._free.pop(0), self.now, self.truth
        if unit is None or unit.kind != 'plan':
            begin += 0 if worker in self._built else truth.start_up
            self._built.add(worker)
        end = begin
        if unit is not None:
            kind = unit.kind
            end += truth.planning if kind == 'plan' else truth.fill
            end += truth.rates.get(kind, 0.0) * self._frames(unit)
        self._busy[worker] = unit, self.now, begin, end

    def _frames(self, unit):
        if unit.plan is None:
            return 0
        if unit.kind == 'pose':
            return (unit.task.end or unit.plan.end) - unit.task.lead
        if unit.kind == 'find':
            return (unit.end or unit.plan.end) - unit.first
        return unit.plan.end

    def wait(self, timeout):
        ends = [end for *_, end in self._busy.values()]
        self.now = min(ends + [self.now + timeout])
        found = []
        for worker, (unit, given, begin, end) in list(self._busy.items()):
            if end <= self.now:
                del self._busy[worker]
                self._free.append(worker)
                answer = Answer('done', found=self._answer(unit), start_up=begin - given)
                found.append((unit, answer))
        self.last = {unit.progress: (unit, 1e9) for unit, _ in found if unit is not None}
        return found

    def _answer(self, unit):
        if unit is None:
            return dict(settings=self.truth.settings, identity={})
        if unit.kind == 'plan':
            count = self.truth.lengths[int(unit.entry.name.partition('.')[0])]
            keyframes = [(0, 0, 0)]
            return Plan(unit.entry, 0, count, 25.0, 96, 64, count / 25, 1.0, {}, '', keyframes)
        if unit.kind in ('find', 'pose'):
            os.makedirs(os.path.dirname(unit.out), exist_ok=True)
            with open(unit.out, 'w') as file:
                for frame in range(unit.first, unit.end or unit.plan.end) if not unit.task else ():
                    people = dict(bboxes=[], scores=[], track_ids=[], seen=None)
                    entry = dict(frame_id=frame, time=frame / 25, fault=None, shape=[64, 96, 3])
                    file.write(json.dumps(dict(entry, **people)) + '\n')
        return dict(frames=unit.plan.end, people=0, faults=0)

    def places(self, path):
        """What :func:`read_places` gives."""
        for unit, _, begin, end in self._busy.values():
            if unit is not None and unit.progress == path:
                return {}, self._passed(unit, begin, min(self.now, end))
        unit, end = self.last.get(path, (None, 0.0))
        return {}, Passed() if unit is None else self._passed(unit, 0.0, end)

    def _passed(self, unit, begin, now):
        size, rate = self.truth.settings.batch_size, self.truth.rates.get(unit.kind, 0.0)
        if unit.kind not in ('whole', 'find', 'pose'):
            return Passed()
        batches = (self._frames(unit) - 1) // size
        batches = min(batches, int((now - begin - self.truth.fill) / (size * rate)) - 1)
        return Passed(max(0, batches) * size, max(0, batches) * size * rate)

    def close(self):
        """Nothing is open."""


def random_truth(seed):
    """Videos of mixed lengths on some workers, to which a frame takes a tenth up to a second."""
    generator = random.Random(seed)
    workers = generator.choice([1, 2, 3, 4, 8, 16])
    count = workers * generator.choice([1, 2, 5])
    spread = generator.choice([0.3, 1.2])
    lengths = [max(5, round(generator.lognormvariate(5.0, spread))) for _ in range(count)]
    for _ in range(generator.choice([0, 0, 1, workers])):
        lengths[generator.randrange(count)] = generator.randrange(800, 2500)
    stretch = generator.choice([128, 256, 512])
    seconds = generator.uniform(100, 500) / max(stretch, 512)  # of a frame
    share = generator.uniform(0.2, 0.8)
    find, pose = share * seconds, (1 - share) * seconds
    while sum(lengths) * seconds < 200 * workers:  # a minute is to be a part of it
        lengths.append(generator.choice(lengths))
    whole = max(find, pose) if generator.random() < 0.3 else find + pose
    return Truth(
        lengths,
        workers,
        dict(whole=whole, find=find, pose=pose, finish=0.002 * whole),
        stretch,
        generator.uniform(0, 20),
        generator.uniform(0, 3) / len(lengths),
        generator.uniform(0, 1),
        Settings((-2, -1, 0, 1, 2), 'offline', 8, streaming=generator.random() < 0.5),
    )


def told(truth, folder, monkeypatch, interval=5.0):
    """Lines of a run, up to the first one after a minute that says no "about"; and when it ended.

    Returns:
        tuple: A list of (time, seconds left, whether it is guessed), and seconds.
    """
    pool, said = VirtualPool(truth), []
    clock = SimpleNamespace(monotonic=lambda: pool.now)
    monkeypatch.setattr(archive_run, 'time', clock)
    monkeypatch.setattr(progress, 'time', clock)
    monkeypatch.setattr(archive_run, 'read_places', pool.places)
    for number in range(len(truth.lengths)):
        (folder / f'{number}.mp4').write_bytes(b'')
    names = [str(folder / f'{n}.mp4') for n in range(len(truth.lengths))]
    output = Output(str(folder / 'out'))
    output.open()
    try:
        run = ArchiveRun(
            read_entries(names), output, pool, truth.stretch, say=said.append, interval=interval
        )
        lines = []

        def posed(done, videos, frames, total, left, failed, guessed=False):
            if left is not None:
                lines.append((pool.now, left, guessed))
            if left is not None and pool.now >= 60 and not guessed:
                run._line._interval = float('inf')

        monkeypatch.setattr(run._line, 'posed', posed)
        report = run()
    finally:
        output.close()
    assert report.done == len(truth.lengths) and not report.failed
    return lines, report.seconds
