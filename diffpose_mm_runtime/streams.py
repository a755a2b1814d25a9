"""Which crop each frame of a stream is seen through, and what is kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .people import Person
from .windows import Frame, Window

Job = tuple[Window, Person]
CROP_TOLERANCE = 0.05
"""Where the model's ``test_cfg`` says nothing of it."""


@dataclass
class Crop:
    """Where a person is looked at, in as many frames as the person stays there.

    Attributes:
        box: (4,) The box whose crop it is, image pixels.
        shape: (h, w, 3) Of the frames.
        sample: What the poser keeps of the crop, known from its first frame on.
    """

    box: np.ndarray
    shape: tuple[int, ...]
    sample: Any = None


@dataclass
class Track:
    """What is known of one person.

    Attributes:
        crop: The one for the next frame, unless the person has left it.
        frames: By frame number, the crop that the frame was seen through and its (V, D, H, W)
            tokens of the neck's patch embedding, V = 2 views with flip test, else 1; None until a
            window needs them. At most as many frames as the window spans.
        last_seen: The last keyframe with the person.
    """

    crop: Crop | None = None
    frames: dict[int, tuple[Crop, Any]] = field(default_factory=dict)
    last_seen: int = -1


@dataclass
class StreamState:
    """All that a stream remembers between frames.

    Attributes:
        tracks: By track id. Tracks leave as soon as no window can reach back to them, which
            bounds the memory by the number of people in view.
        person_frames: People posed so far.
        renewals: How often the crop of a track was replaced by another one.
        backbone_passes: Person-frames that went through the backbone (one pass each, two with
            flip test).
    """

    tracks: dict[int, Track] = field(default_factory=dict)
    person_frames: int = 0
    renewals: int = 0
    backbone_passes: int = 0

    def reset(self) -> None:
        """Forget everything, as before a new video."""
        self.tracks.clear()
        self.person_frames = self.renewals = self.backbone_passes = 0


class StreamCrops:
    """The crops of tracks, renewed when their boxes leave them; the base of streaming posers.

    Args:
        offsets: Frames of a window relative to its keyframe.
        crop_tolerance: How far each side of the box may be off that of the crop's box, as a share
            of the longer side of the latter.
        state: Defaults to a new one.

    Raises:
        ValueError: ``crop_tolerance`` is negative.
    """

    def __init__(
        self,
        offsets: Sequence[int],
        crop_tolerance: float = CROP_TOLERANCE,
        state: StreamState | None = None,
    ) -> None:
        if not crop_tolerance >= 0:
            raise ValueError(
                f'crop_tolerance={crop_tolerance} has to be at least 0, a share of the box'
            )
        self.offsets = tuple(offsets)
        self.crop_tolerance = crop_tolerance
        self.state = state if state is not None else StreamState()

    def replay(self, jobs: Sequence[Job]) -> None:
        """See :class:`Poser`: crops become what they would be if all had been posed."""
        renewals = self.state.renewals
        self._assign_crops(jobs)
        self.state.renewals = renewals
        if jobs:
            self._forget(jobs[-1][0])

    def _track(self, person: Person) -> Track:
        if person.track_id is None:
            raise ValueError('streaming needs people with track ids')
        return self.state.tracks.setdefault(person.track_id, Track())

    def _assign_crops(self, jobs: Sequence[Job]) -> None:
        """Assign a crop to every frame of every person's window."""
        for window, person in jobs:
            track = self._track(person)
            track.last_seen = window.frame_id
            for frame in window.frames:
                number = frame.index
                is_key = number == window.frame_id
                if number in track.frames and not (
                    is_key and not self._fits(track.frames[number][0], person.box, frame)
                ):
                    continue
                box = person.box if is_key else window.box_of(person.track_id, number)
                box = person.box if box is None else box
                track.frames[number] = self._crop_for(track, box, frame), None

    def _crop_for(self, track: Track, box: np.ndarray, frame: Frame) -> Crop:
        """The crop that the track has, or a new one if the box has left it."""
        if track.crop is None or not self._fits(track.crop, box, frame):
            self.state.renewals += track.crop is not None
            track.crop = Crop(np.array(box, np.float32), frame.shape or ())
        return track.crop

    def _fits(self, crop: Crop, box: np.ndarray, frame: Frame) -> bool:
        off = np.abs(box - crop.box).max()
        longer = (crop.box[2:] - crop.box[:2]).max()
        return crop.shape == frame.shape and bool(off <= self.crop_tolerance * longer)

    def _forget(self, window: Window) -> None:
        """Drop tokens and tracks that no window from this keyframe on can use."""
        oldest = window.frame_id + min(self.offsets)
        tracks = self.state.tracks
        for track_id in [i for i, track in tracks.items() if track.last_seen < oldest]:
            del tracks[track_id]
        for track in tracks.values():
            for frame_id in [i for i in track.frames if i < oldest]:
                del track.frames[frame_id]
