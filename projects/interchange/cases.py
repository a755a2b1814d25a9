"""Poses with all that gets lost between programs, as infer writes them, and as plain rows."""

import cv2
import numpy as np

from diffpose_mm.interchange import TableBuilder, write_poses_json
from diffpose_mm.keypoint_sets import keypoint_set

TRACKS = (3, 7)
NUM_FRAMES = 12
SEED = 0


def poses(times):
    """A table: person 3 in frames 0 to 9, person 7 in 2 to 10 and not in 5; nobody in the last.

    Of person 7 the right wrist is missing in frames 4 and 6. Coordinates and scores are random and
    have all digits of a double.
    """
    known = keypoint_set('posetrack17')
    rng = np.random.default_rng(SEED)
    builder = TableBuilder(known.keypoints)
    gone = np.isin(known.keypoints, known.never_labelled)
    wrist = known.keypoints.index('right_wrist')
    for frame, time in enumerate(times):
        builder.add_frame(frame, time)
        for track in TRACKS:
            there = frame < 10 if track == 3 else 2 <= frame <= 10 and frame != 5
            if not there:
                continue
            points = rng.uniform((100 * track, 100), (100 * track + 200, 600), (17, 2))
            scores, spread = rng.uniform(0.1, 1, 17), rng.uniform(1, 5, (17, 2))
            missing = gone | (np.arange(17) == wrist) * (track == 7 and frame in (4, 6))
            points[missing], scores[missing], spread[missing] = np.nan, np.nan, np.nan
            left, top = np.nanmin(points, 0) - 10
            right, bottom = np.nanmax(points, 0) + 10
            builder.add_pose(points, scores, track, spread, (left, top, right, bottom), 1.0)
    return builder.table(
        skeleton=tuple((a, b) for a, b in known.skeleton),
        image_size=(1280, 720),
        fps=25.0,
        absent=known.never_labelled,
        input=dict(name='walk.mp4'),
    )


def uneven_times():
    """Seconds: the video starts at 0.5, and one frame stayed for three."""
    times = 0.5 + np.arange(NUM_FRAMES) / 25
    times[7:] += 2 / 25
    return times.round(6)


def write_cases(folder):
    """Write ``uneven.json`` and ``even.json``, and the truth beside them; returns their tables."""
    tables = dict(uneven=poses(uneven_times()), even=poses(np.arange(NUM_FRAMES) / 25))
    for name, table in tables.items():
        write_poses_json(table, folder / f'{name}.json')
        (folder / name).mkdir(exist_ok=True)
        for number in range(NUM_FRAMES):  # the pictures, for those who look for them
            cv2.imwrite(
                str(folder / name / f'{number:06d}.jpg'), np.zeros((720, 1280, 3), np.uint8)
            )
    return tables


def rows_of(table):
    """Rows frame, track, joint, x, y, score of the keypoints that are there."""
    return [
        [
            int(table.frame[pose]),
            int(table.track[pose]),
            table.keypoints[joint],
            *map(float, table.points[pose, joint]),
            float(table.scores[pose, joint]),
        ]
        for pose in range(len(table))
        for joint in np.flatnonzero(table.present[pose]).tolist()
    ]
