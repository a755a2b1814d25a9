from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from interchange_cases import POSETRACK, two_people

from diffpose_mm.interchange import sleap

# The file itself is read by sleap-io and movement in projects/interchange.


class Instance(SimpleNamespace):
    @classmethod
    def from_numpy(cls, points, **fields):
        return cls(points=points, **fields)


@pytest.fixture
def saved(monkeypatch):
    """What sleap-io is given to save."""
    made = []

    def save(labels, path, embed):
        assert path.endswith('.slp') and not embed  # it goes by the ending
        made.append(labels)
        Path(path).write_bytes(b'')

    library = SimpleNamespace(
        Skeleton=lambda nodes, **fields: SimpleNamespace(nodes=nodes, **fields),
        Video=lambda **fields: SimpleNamespace(backend_metadata={}, **fields),
        Track=lambda name: SimpleNamespace(name=name),
        PredictedInstance=Instance,
        LabeledFrame=SimpleNamespace,
        Labels=lambda frames, **fields: SimpleNamespace(frames=frames, **fields),
        save_slp=save,
    )
    monkeypatch.setattr(sleap, 'needed', lambda *modules, **what: [library])
    return made


def test_every_pose_is_of_its_frame_and_person(tmp_path, saved):
    """Broken if a frame without people were left out, or a missing joint had a score."""
    table = two_people()
    sleap.write_slp(table, tmp_path / 'walk.slp', 'walk')
    (labels,) = saved
    assert [frame.frame_idx for frame in labels.frames] == list(range(8))
    assert labels.videos[0].filename == 'walk.mp4'
    assert labels.videos[0].backend_metadata['shape'] == (8, 720, 1280, 3)
    assert labels.skeletons[0].nodes == list(POSETRACK.keypoints)
    assert labels.skeletons[0].edges == [tuple(bone) for bone in POSETRACK.skeleton]
    for frame, (_, poses) in zip(labels.frames, table.by_frame()):
        for person, pose in zip(frame.instances, poses, strict=True):
            assert person.track is labels.tracks[[3, 7].index(table.track[pose])]
            np.testing.assert_array_equal(person.points, table.points[pose])
            there = table.present[pose]
            np.testing.assert_array_equal(person.point_scores[there], table.scores[pose][there])
            assert (person.point_scores[~there] == 0).all()
    assert [path.name for path in tmp_path.iterdir()] == ['walk.slp']


def test_people_without_numbers_have_no_track(tmp_path, saved):
    """Broken if people of different frames became one track because neither has a number."""
    table = two_people()
    table.track[:] = -1
    sleap.write_slp(table, tmp_path / 'walk.slp', 'walk')
    people = [person for frame in saved[0].frames for person in frame.instances]
    assert len(people) == len(table) and {person.track for person in people} == {None}
    assert saved[0].tracks == []
