"""Which frames of a damaged video are lost: packets that never came out of the decoder."""


class PendingPackets:
    """Packets that have gone into the decoder and not come out as frames, by their times."""

    def __init__(self) -> None:
        self._suspect: dict[int, bool] = {}
        self._timeless = 0  # suspects without a time

    def add(self, pts: int | None, suspect: bool) -> None:
        """Take note of a packet; ``suspect`` if its frame may be damaged."""
        if pts is not None:
            self._suspect[pts] = suspect

    def suspect_all(self) -> None:
        """One of them is damaged; which, a decoder with several threads does not tell."""
        self._suspect = dict.fromkeys(self._suspect, True)
        self._timeless += not self._suspect

    def suspect_after(self, pts: float) -> None:
        """Those later than ``pts`` may be damaged."""
        self._suspect.update((p, True) for p in self._suspect if p > pts)

    def before(self, pts: int | None) -> list[int | None]:
        """Times of the frames that are lost, when a frame with time ``pts`` or the end comes.

        Some packets never become frames (of VP8, say): only suspects are lost.
        """
        due = sorted(p for p in self._suspect if pts is None or p <= pts)
        lost: list[int | None] = [None] * self._timeless
        lost += [p for p in due if self._suspect.pop(p) and p != pts]
        self._timeless = 0
        return lost
