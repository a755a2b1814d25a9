"""What a user should look at when a run has ended: nobody found, people on their heads."""

from collections.abc import Sequence

import numpy as np

_SURE = 0.3
_FEW = 5


class RunHints:
    """Watches the results of a run.

    Args:
        keypoints: Names of the joints of its people.
    """

    def __init__(self, keypoints: Sequence[str]) -> None:
        places = {name: k for k, name in enumerate(keypoints)}
        self._high, self._low = (
            [places[f'{side}_{joint}'] for side in ('left', 'right') if f'{side}_{joint}' in places]
            for joint in ('shoulder', 'ankle')
        )
        self.frames = self.people = self._judged = self._upside_down = 0

    def add(self, people: Sequence[dict]) -> None:
        """The people of a frame, as predictions have them."""
        self.frames += 1
        self.people += len(people)
        if not (self._high and self._low):
            return
        for person in people:
            y = np.asarray(person['keypoints'], float).reshape(-1, 2)[:, 1]
            scores = np.asarray(person['keypoint_scores'], float).ravel()
            heights = [
                y[[k for k in joints if scores[k] > _SURE]] for joints in (self._high, self._low)
            ]
            if all(len(found) for found in heights):
                self._judged += 1
                self._upside_down += heights[1].mean() < heights[0].mean()

    def lines(self) -> list[str]:
        """What there is to say, a line each."""
        said = []
        if self.frames and not self.people:
            said.append(
                'no person was found: look at the sheet; people may be too small, too dark or cut '
                'off. --bbox-thr 0.1 takes boxes that the detector is less sure of, --det-model '
                'takes another one, --boxes yours'
            )
        if self._judged >= _FEW and self._upside_down > self._judged / 2:
            said.append(
                f'{self._upside_down} of {self._judged} people have their feet above their '
                'shoulders: if the picture is upside down, turn it first. The model and the '
                'detector know people who stand, and miss many of others'
            )
        return said
