"""When an archive will be done: what is left is played through, with what pieces have cost so far.

All work over all workers would be too short: at the end there are fewer pieces than workers, a
stretch is posed after it was found, and a video is finished by one worker.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .costs import Costs
from .plan import Plan

EXACT = 3000
"""Pieces that are played through, the last ones; all before them are taken to fill the workers."""


@dataclass
class VideoLeft:
    """What is left of a video, without what is under way.

    Attributes:
        whole: Frames, of a video that is not cut.
        finds: Frames of each stretch whose people are to be found.
        found: Stretches whose people are known.
        poses: Of each stretch to be posed its frames, and how many have to be found before.
        posing: Stretches that are being posed.
        finish: Frames of the table to be written at the end.
    """

    whole: float = 0.0
    finds: list[float] = field(default_factory=list)
    found: int = 0
    poses: list[tuple[float, int]] = field(default_factory=list)
    posing: int = 0
    finish: float = 0.0

    @classmethod
    def of_edges(cls, edges: Sequence[int], end: int, lead: int) -> 'VideoLeft':
        """A video of which nothing is done.

        Args:
            edges: First frame of each stretch.
            end: After the last frame.
            lead: Frames that a stretch is posed before its first.
        """
        lengths = [float(b - a) for a, b in zip(edges, [*edges[1:], max(end, edges[-1])])]
        if len(lengths) == 1:
            return cls(whole=lengths[0])
        count = len(lengths)
        poses = [(n + lead * (i > 0), min(i + 2, count)) for i, n in enumerate(lengths)]
        return cls(finds=lengths, poses=poses, finish=sum(lengths))

    @property
    def pieces(self) -> list[tuple[str, float]]:
        """All of them: kind and frames."""
        found = [('find', n) for n in self.finds] + [('pose', n) for n, _ in self.poses]
        return found + [(k, n) for k, n in (('whole', self.whole), ('finish', self.finish)) if n]

    def take(self, most_urgent: int) -> tuple[str, float] | None:
        """The next piece as :meth:`.video_job.VideoJob.take` gives it, or None."""
        if self.finish and not self.poses and not self.posing:
            frames, self.finish = self.finish, 0.0
            return 'finish', frames
        if most_urgent > 0:
            for number, (frames, before) in enumerate(self.poses):
                if before <= self.found:
                    del self.poses[number]
                    self.posing += 1
                    return 'pose', frames
        if most_urgent > 1 and self.finds:
            return 'find', self.finds.pop(0)
        if most_urgent > 1 and self.whole:
            frames, self.whole = self.whole, 0.0
            return 'whole', frames
        return None

    def done(self, kind: str) -> None:
        """A piece that was under way is done."""
        self.found += kind == 'find'
        self.posing -= kind == 'pose'


class Waiting:
    """Videos that are not begun, in order.

    If some are cut and others are not, one of each comes first, so that all passes are measured
    early: the shortest that is not cut, which holds no worker for long, and the longest that is.

    Args:
        plans: Of the videos.
        stretch, batch_size: By which they are cut, see :meth:`.plan.Plan.edges`.
        lead: Frames that a stretch is posed before its first.

    Attributes:
        frames: Of all of them.
    """

    def __init__(self, plans: Sequence[Plan], stretch: int, batch_size: int, lead: int) -> None:
        self._cut, self._lead = (stretch, batch_size), lead
        self._plans = list(reversed(self._ordered(list(plans))))
        self._sums: dict[str, tuple[int, float]] = {}
        self.frames = sum(plan.frames for plan in plans)
        for plan in plans:
            self._count(self._sums, self._left(plan), 1)

    def _ordered(self, plans: list[Plan]) -> list[Plan]:
        is_cut = [len(plan.edges(*self._cut)) > 1 for plan in plans]
        if any(is_cut) and not all(is_cut):
            numbers = range(len(plans))
            short = min((plans[i].frames, i) for i in numbers if not is_cut[i])[1]
            long = max((plans[i].frames, -i, i) for i in numbers if is_cut[i])[2]
            rest = [plan for i, plan in enumerate(plans) if i not in (short, long)]
            return [plans[short], plans[long], *rest]
        return plans

    def __len__(self) -> int:
        return len(self._plans)

    @property
    def kinds(self) -> set[str]:
        """Of their pieces."""
        return {kind for kind, (number, _) in self._sums.items() if number}

    def pop(self) -> Plan:
        """The next one, which is begun."""
        plan = self._plans.pop()
        self.frames -= plan.frames
        self._count(self._sums, self._left(plan), -1)
        return plan

    def _left(self, plan: Plan) -> VideoLeft:
        return VideoLeft.of_edges(plan.edges(*self._cut), plan.end, self._lead)

    @staticmethod
    def _count(sums: dict[str, tuple[int, float]], video: VideoLeft, sign: int) -> None:
        for kind, frames in video.pieces:
            number, before = sums.get(kind, (0, 0.0))
            sums[kind] = number + sign, before + sign * frames

    def split(self) -> tuple[dict[str, tuple[int, float]], list[VideoLeft]]:
        """Of the first videos how many pieces and frames of each kind; the last videos."""
        last: list[VideoLeft] = []
        sums, pieces = dict(self._sums), 0
        for plan in self._plans:
            if pieces >= EXACT:
                break
            last.append(self._left(plan))
            pieces += len(last[-1].pieces)
            self._count(sums, last[-1], -1)
        return sums, last[::-1]


def seconds_left(
    costs: Costs,
    videos: Sequence[VideoLeft],
    running: Iterable[tuple[int, str, float]],
    waiting: Waiting,
    workers: int,
) -> float | None:
    """Seconds until the end, or None as long as nothing is known.

    Args:
        costs: So far.
        videos: That are begun, without what is under way. They are used up.
        running: What is under way: number of its video in ``videos``, kind of piece, and frames
            that are left of it.
        waiting: Videos that are not begun.
        workers: How many there are.
    """
    if costs.frame('whole') is None:
        return None
    first, last = waiting.split()
    bulk = sum(costs.pieces(kind, frames, number) for kind, (number, frames) in first.items())
    schedule = _Schedule(costs, videos, last)
    for index, kind, frames in running:
        schedule.begin(index, kind, frames * (costs.frame(kind) or 0.0))
    # All that is not among the last pieces keeps every worker busy.
    return bulk / max(workers, 1) + schedule.play(max(workers, 1))


class _Schedule:
    """Plays pieces through, in the order in which :class:`.run.ArchiveRun` gives them."""

    def __init__(
        self, costs: Costs, videos: Sequence[VideoLeft], waiting: Iterable[VideoLeft]
    ) -> None:
        self.costs, self.videos, self.ahead = costs, list(videos), iter(waiting)
        self.open = list(range(len(self.videos)))
        self.busy: list[tuple[float, int, str]] = []
        self.now = 0.0

    def begin(self, index: int, kind: str, seconds: float) -> None:
        """A piece of a video is begun."""
        heapq.heappush(self.busy, (self.now + seconds, index, kind))

    def play(self, workers: int) -> float:
        """Seconds until all is done."""
        while True:
            while len(self.busy) < workers and self._give():
                pass
            if not self.busy:
                return self.now
            self.now, index, kind = heapq.heappop(self.busy)
            self.videos[index].done(kind)
            if index in self.open and not self.videos[index].pieces:
                self.open.remove(index)

    def _give(self) -> bool:
        for priority in range(3):
            for index in self.open:
                piece = self.videos[index].take(priority)
                if piece is not None:
                    self.begin(index, piece[0], self.costs.pieces(*piece))
                    return True
        video = next(self.ahead, None)
        if video is not None:
            self.open.append(len(self.videos))
            self.videos.append(video)
        return video is not None
