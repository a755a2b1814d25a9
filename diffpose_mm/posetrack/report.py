"""What was found wrong with a download: kinds of findings, how many of each, and where."""

from __future__ import annotations

from typing import Any

FINDINGS = {
    'broken file': (
        True,
        'its split is not written; download it again, or leave such videos out with --skip-broken',
    ),
    'images not found': (
        True,
        'the images were not checked, nor boxes and joints against their size; say where '
        'they are with --images',
    ),
    'keyframe missing or unreadable': (
        True,
        'a labelled frame: testing stops at it, training skips its persons',
    ),
    'image of another size': (
        True,
        'its size differs from that in the annotations, so they do not fit it',
    ),
    'frame name without a number': (
        True,
        'neighbours are found by number; without --no-links such frames get numbered links',
    ),
    'ignore region malformed': (True, 'left out, so that more is scored than should be'),
    'annotation of an unlisted image': (True, 'left out'),
    'joint not finite': (True, 'left out'),
    'unknown joint': (True, 'left out'),
    'neighbour missing or unreadable': (False, 'the nearest readable frame replaces it'),
    'frame count': (
        False,
        'the length of the video, the frames that the file lists and the images on disk differ',
    ),
    'frame numbers jump': (
        False,
        'neighbours are taken by number; the nearest existing frame replaces a missing one',
    ),
    'video without a labelled frame': (False, 'gives no samples'),
    'duplicate annotation id': (False, 'the later one got a new id'),
    'duplicate track id': (False, 'two persons in a frame; matters for tracking only'),
    'joint twice': (False, 'the first one counts, as in the official evaluation'),
    'person on an unlabelled frame': (False, 'no sample for training and testing'),
    'person without keypoints': (False, 'no sample; the frame still counts as annotated'),
    'person without a head box': (False, 'counts as ground truth that no prediction can match'),
    'box without area': (False, 'no sample where the annotated boxes are used'),
    'box outside the image': (False, 'entirely; no sample where the annotated boxes are used'),
    'joint outside the image': (False, 'kept as it is'),
}
"""Kind of finding -> (whether it needs attention, what it means). Order of the report."""


class Report:
    """Findings by kind, each with its place, and facts by split.

    Attributes:
        facts (dict): split -> name of a fact -> number.
        found (dict): kind, one of :data:`FINDINGS` -> places, in the order they were found.
        written (list[str]): files written.
    """

    def __init__(self) -> None:
        self.facts: dict[str, dict[str, int]] = {}
        self.found: dict[str, list[str]] = {kind: [] for kind in FINDINGS}
        self.written: list[str] = []

    def add(self, kind: str, place: str) -> None:
        """Note a finding of a kind in :data:`FINDINGS`."""
        self.found[kind].append(place)

    def count(self, split: str, **numbers: int) -> None:
        """Add to the facts of a split."""
        facts = self.facts.setdefault(split, {})
        for name, number in numbers.items():
            facts[name] = facts.get(name, 0) + number

    @property
    def needs_attention(self) -> bool:
        """Whether something was found that should not stay as it is."""
        return any(places and FINDINGS[kind][0] for kind, places in self.found.items())

    def as_dict(self) -> dict[str, Any]:
        """Everything, for a json file."""
        return dict(
            needs_attention=self.needs_attention,
            facts=self.facts,
            written=self.written,
            findings={
                kind: dict(
                    needs_attention=FINDINGS[kind][0],
                    meaning=FINDINGS[kind][1],
                    count=len(places),
                    places=places,
                )
                for kind, places in self.found.items()
                if places
            },
        )

    def text(self, first: int = 3) -> str:
        """The report to read: counts, and the first places of each kind.

        Args:
            first: how many places.
        """
        lines = []
        for split, facts in self.facts.items():
            numbers = ', '.join(
                f'{number} {name.replace("_", " ")}' for name, number in facts.items() if number
            )
            lines.append(f'{split}: {numbers or "nothing"}')
        for hand, title in ((True, 'needs attention'), (False, 'good to know')):
            kinds = [k for k, places in self.found.items() if places and FINDINGS[k][0] == hand]
            if kinds:
                lines.append(f'{title}:')
            for kind in kinds:
                places = self.found[kind]
                lines.append(f'  {kind}: {len(places)} ({FINDINGS[kind][1]})')
                lines += [f'    {place}' for place in places[:first]]
                if len(places) > first:
                    lines.append(f'    ... {len(places) - first} more')
        return '\n'.join(lines)
