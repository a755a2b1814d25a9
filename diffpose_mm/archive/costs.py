"""What pieces of work cost, from those that are done and those under way."""

import copy

GUESS = dict(whole=1.0, find=0.3, pose=0.7, finish=0.01)
"""Cost of a frame in a pass, relative to each other, until one has been measured."""


class Costs:
    """Seconds of a worker: so much for a frame in each pass, and so much for a piece beside it.

    A piece takes a while until its first batch is through (opening, decoding up to its first frame,
    filling the pipeline). A rate that had this in it would be wrong for pieces of another length.
    """

    def __init__(self) -> None:
        self._rates: dict[str, tuple[float, float]] = {}  # frames, seconds: between two batches
        self._pieces: dict[str, tuple[int, float, float]] = {}  # how many, frames, seconds: whole

    def add_rate(self, kind: str, frames: float, seconds: float) -> None:
        """Frames have come out of a pass while it was running evenly."""
        if kind in GUESS and frames > 0:
            before = self._rates.get(kind, (0.0, 0.0))
            self._rates[kind] = before[0] + frames, before[1] + seconds

    def add_piece(self, kind: str, frames: float, seconds: float) -> None:
        """A piece is done, which has taken so long in all."""
        if kind in GUESS and frames > 0:
            count, *before = self._pieces.get(kind, (0, 0.0, 0.0))
            self._pieces[kind] = count + 1, before[0] + frames, before[1] + seconds

    def copy(self) -> 'Costs':
        """One to which pieces under way may be added."""
        return copy.deepcopy(self)

    def is_measured(self, kind: str) -> bool:
        """Whether the cost of a frame is known, and not reckoned from other passes."""
        return kind in self._rates or kind in self._pieces

    def frame(self, kind: str) -> float | None:
        """Seconds of a frame in a pass, or None if nothing is known yet."""
        found = self._measured(kind)
        if found is not None:
            return found
        whole, find, pose = map(self._measured, ('whole', 'find', 'pose'))
        # A whole frame is found and posed.
        if kind == 'whole' and find is not None and pose is not None:
            return find + pose
        if whole is not None and kind in ('find', 'pose'):
            other = find if kind == 'pose' else pose
            if other is not None:
                return max(whole - other, 0.1 * whole)
        known = [
            (k, r) for k, r in dict(whole=whole, find=find, pose=pose).items() if r is not None
        ]
        if not known:
            return None
        return GUESS[kind] * sum(rate / GUESS[k] for k, rate in known) / len(known)

    def _measured(self, kind: str) -> float | None:
        frames, seconds = self._rates.get(kind, (0.0, 0.0))
        if not frames:
            _, frames, seconds = self._pieces.get(kind, (0, 0.0, 0.0))
        return seconds / frames if frames else None

    def pieces(self, kind: str, frames: float, number: int = 1) -> float:
        """Seconds of a number of pieces, which have so many frames in all.

        Raises:
            ValueError: Nothing is known yet.
        """
        rate = self.frame(kind)
        if rate is None:
            raise ValueError('nothing has been measured yet')
        count, done, seconds = self._pieces.get(kind, (0, 0.0, 0.0))
        beside = max(0.0, seconds - rate * done) / count if count else 0.0
        return number * beside + rate * frames
