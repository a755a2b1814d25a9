"""Two people over eight frames, with all that formats lose: gaps, missing joints, uneven times."""

import json

import numpy as np

from diffpose_mm.interchange import TableBuilder
from diffpose_mm.interchange.poses_json import FORMAT
from diffpose_mm.keypoint_sets import keypoint_set

POSETRACK = keypoint_set('posetrack17')
TIMES = [0.5, 0.54, 0.58, 0.62, 0.70, 0.74, 0.78, 0.82]  # starts late, and a frame was longer


def points_of(track, frame, names=POSETRACK.keypoints):
    """(K, 2): every number tells its person, frame, joint and axis."""
    joints = np.arange(len(names))
    return np.stack([100 * track + 10 * joints + frame + 0.25, 20 * joints + frame / 8 + 5], 1)


def two_people(keypoint_set=POSETRACK, num_frames=8, times=TIMES, **fields):
    """Person 3 in frames 0 to 6, person 7 from 1 on and not in 5; nobody in the last frame.

    The ears are absent, and the nose of person 7 is missing in frame 2.
    """
    names = keypoint_set.keypoints
    builder = TableBuilder(names)
    gone = np.isin(names, keypoint_set.never_labelled)
    for frame in range(num_frames):
        builder.add_frame(frame, times[frame])
        for track in (7, 3):
            last = frame == num_frames - 1
            if last or (track == 7 and frame in (0, 5)):
                continue
            points = points_of(track, frame, names)
            scores = np.linspace(0.5, 0.9, len(names)) + track / 100
            points[gone], scores[gone] = np.nan, np.nan
            if track == 7 and frame == 2:
                points[0], scores[0] = np.nan, np.nan
            box = [100 * track, 5, 100 * track + 200, 340]
            spread = np.where(np.isnan(points), np.nan, 1.5 + track)
            builder.add_pose(points, scores, track, spread, box, 1.0)
    known = dict(
        skeleton=tuple((a, b) for a, b in keypoint_set.skeleton),
        image_size=(1280, 720),
        fps=25.0,
        absent=keypoint_set.never_labelled,
        input=dict(name='walk.mp4'),
    )
    return builder.table(**{**known, **fields})


def person(points, scores, track=0, **more):
    """A person as infer writes it."""
    return dict(keypoints=points, keypoint_scores=scores, track_id=track, **more)


def clip(people, names=('nose', 'left_wrist'), times=None, **meta):
    """The entries of a file as infer writes it: ``people`` is a list of lists."""
    times = times or [i / 10 for i in range(len(people))]
    frames = [
        dict(frame_id=i, time=time, instances=found)
        for i, (time, found) in enumerate(zip(times, people))
    ]
    known = dict(format=FORMAT, keypoints=list(names), skeleton=[[0, 1]], fps=10.0)
    frames[0].update(meta={**known, **meta}, run=dict(input=dict(name='walk.mp4')))
    return frames


def write_clip(path, frames):
    path.write_text(json.dumps(frames), encoding='utf-8')
    return path


def assert_same(found, expected, but=()):
    """All that two tables hold is equal, except what ``but`` names."""
    for name in (
        'frames times frame track points scores deviations boxes box_scores keypoints skeleton '
        'image_size fps absent'
    ).split():
        if name not in but:
            a, b = getattr(found, name), getattr(expected, name)
            if isinstance(b, np.ndarray):
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-9, err_msg=name)
            else:
                assert a == b, name
