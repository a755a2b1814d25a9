"""Tracks by boxes are those of MMPose's matching."""

import numpy as np

from diffpose_mm.apis.tracker import Tracker
from diffpose_mm_runtime.people import Person
from diffpose_mm_runtime.tracking import BoxTracker


def test_as_mmpose_matches():
    """Broken if people who cross, leave, come back or bring a number were numbered otherwise."""
    generator = np.random.default_rng(0)
    trackers = Tracker(0.3), BoxTracker(0.3)
    centres = generator.uniform(0, 200, (6, 2))
    given = 0
    for frame in range(60):
        centres += generator.normal(0, 6, centres.shape)
        seen = [i for i in range(6) if generator.random() < 0.7]
        numbers = []
        for tracker in trackers:
            people = [Person(np.float32([*centres[i] - 25, *centres[i] + 25]), 1.0) for i in seen]
            if frame % 17 == 16 and people:
                people[0].track_id = 100 + frame
                given += 1
            tracker(people)
            numbers.append([person.track_id for person in people])
        assert numbers[0] == numbers[1]
    assert given > 2 and max(numbers[0]) > 6
