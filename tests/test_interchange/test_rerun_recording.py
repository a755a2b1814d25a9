from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from interchange_cases import TIMES, two_people

from diffpose_mm.interchange import rerun_recording

# The recording itself is read by rerun-sdk in projects/interchange.


class Stream:
    """What is logged: frame, time, entity, and the archetypes."""

    def __init__(self, application):
        self.logged, self.now = [], {}

    def save(self, path):
        Path(path).write_bytes(b'')

    def set_time(self, timeline, sequence=None, duration=None):
        self.now[timeline] = duration if sequence is None else sequence

    def log(self, entity, *values, static=False):
        self.logged.append((None if static else dict(self.now), entity, values))

    def send_recording_name(self, name):
        self.name = name

    def flush(self):
        pass

    disconnect = flush


def archetype(name):
    return lambda *values, **fields: SimpleNamespace(kind=name, values=values, **fields)


@pytest.fixture
def streams(monkeypatch):
    made = []

    def stream(application):
        made.append(Stream(application))
        return made[-1]

    names = 'AnnotationContext ClassDescription AnnotationInfo Points2D AnyValues Boxes2D Clear'
    library = SimpleNamespace(
        RecordingStream=stream,
        Box2DFormat=SimpleNamespace(XYXY='xyxy'),
        **{name: archetype(name) for name in names.split()},
    )
    monkeypatch.setattr(rerun_recording, 'needed', lambda *modules, **what: [library])
    return made


def test_people_are_shown_in_their_frames_alone(tmp_path, streams):
    """Broken if the viewer kept somebody on the picture who has left."""
    table = two_people()
    rerun_recording.write_rrd(table, tmp_path / 'walk.rrd', 'walk')
    (stream,) = streams
    shown = {}
    clears = []
    for now, entity, values in stream.logged[1:]:
        if values[0].kind == 'Clear':
            assert values[0].recursive
            clears.append((now['frame'], entity))
        elif values[0].kind == 'Points2D':
            shown.setdefault(entity.split('/')[1], []).append(now['frame'])
            assert now['time'] == TIMES[now['frame']]
    assert shown == {'track_3': [0, 1, 2, 3, 4, 5, 6], 'track_7': [1, 2, 3, 4, 6]}
    assert clears == [(5, 'poses/track_7'), (7, 'poses/track_3'), (7, 'poses/track_7')]


def test_points_are_named_by_their_place_in_the_set(tmp_path, streams):
    """Broken if a missing joint gave its name to the next one."""
    table = two_people()
    rerun_recording.write_rrd(table, tmp_path / 'walk.rrd', 'walk')
    (context,) = streams[0].logged[0][2]
    described = context.values[0]
    names = {info.id: info.label for info in described.keypoint_annotations}
    assert names == dict(enumerate(table.keypoints))
    pose = int(np.flatnonzero((table.frame == 2) & (table.track == 7))[0])
    points, extra = next(
        values
        for now, entity, values in streams[0].logged[1:]
        if now['frame'] == 2 and entity == 'poses/track_7/keypoints'
    )
    places = np.flatnonzero(table.present[pose])
    assert 0 not in places and points.keypoint_ids.tolist() == places.tolist()
    np.testing.assert_array_equal(points.values[0], table.points[pose, places])
    np.testing.assert_array_equal(extra.score, table.scores[pose, places])
    assert [path.name for path in tmp_path.iterdir()] == ['walk.rrd']
