"""The programs that read poses, each by its own function; run where they are installed.

    python consumers.py NAME FILES

prints, as the last line, JSON of what NAME made of the files in the folder FILES: rows frame,
track, joint, x, y, score, the number of frames, and the time of each where it has them. What a
program does not have is null.
"""

import json
import pathlib
import sys

import label_consumers
from consumed import result

# --- data frames


def _long(records):
    rows = [
        [int(r['frame_id']), int(r['track_id']), r['keypoint'], r['x'], r['y'], r['score']]
        for r in records
        if r['x'] is not None
    ]
    times = {r['frame_id']: r['time'] for r in records}
    return result(rows, len(times), times)


def pandas_csv(files):
    import pandas

    return _long(pandas.read_csv(files / 'uneven.csv').to_dict('records'))


def pandas_parquet(files):
    import pandas

    return _long(pandas.read_parquet(files / 'uneven.parquet').to_dict('records'))


def polars_csv(files):
    import polars

    return _long(polars.read_csv(files / 'uneven.csv').to_dicts())


def polars_parquet(files):
    import polars

    return _long(polars.read_parquet(files / 'uneven.parquet').to_dicts())


def _duckdb(path):
    import duckdb

    found = duckdb.sql(f"select frame_id, time, track_id, keypoint, x, y, score from '{path}'")
    return _long([dict(zip(found.columns, row)) for row in found.fetchall()])


def duckdb_csv(files):
    return _duckdb(files / 'uneven.csv')


def duckdb_parquet(files):
    return _duckdb(files / 'uneven.parquet')


# --- animal behaviour


def _movement(poses):
    rows = []
    position = poses.position.transpose('time', 'individuals', 'keypoints', 'space').values
    confidence = poses.confidence.transpose('time', 'individuals', 'keypoints').values
    for frame, people in enumerate(position):
        for i, person in enumerate(poses.individuals.values):
            for j, joint in enumerate(poses.keypoints.values):
                score = float(confidence[frame, i, j])
                rows.append([frame, str(person), str(joint), *people[i, j].tolist(), score])
    times = dict(enumerate(poses.time.values.tolist()))
    return result(rows, len(position), times)


def movement_csv(files):
    from movement.io import load_poses

    return _movement(load_poses.from_dlc_file(files / 'uneven_deeplabcut.csv', fps=25))


def movement_h5(files):
    from movement.io import load_poses

    return _movement(load_poses.from_dlc_file(files / 'uneven_deeplabcut.h5', fps=25))


def movement_slp(files):
    from movement.io import load_poses

    return _movement(load_poses.from_sleap_file(files / 'uneven.slp', fps=25))


def _movement_nwb(path):
    import xarray
    from movement.io import load_poses

    people = [
        load_poses.from_nwb_file(path, pose_estimation_key=key) for key in ('track_3', 'track_7')
    ]
    named = [p.assign_coords(individuals=[k]) for p, k in zip(people, ('track_3', 'track_7'))]
    return _movement(xarray.concat(named, 'individuals', join='outer'))


def movement_nwb(files):
    return _movement_nwb(files / 'uneven.nwb')


def movement_nwb_even(files):
    return _movement_nwb(files / 'even.nwb')


def _sleap(labels):
    rows = []
    for frame in labels:
        for person in frame.instances:
            scores = person.points['score'] if 'score' in person.points.dtype.names else None
            for index, (x, y) in enumerate(person.numpy()):
                score = None if scores is None else float(scores[index])
                track = None if person.track is None else person.track.name
                joint = person.skeleton.node_names[index]
                rows.append([int(frame.frame_idx), track, joint, float(x), float(y), score])
    return result(rows, len(labels))


def sleap_slp(files):
    import sleap_io

    return _sleap(sleap_io.load_slp(str(files / 'uneven.slp')))


def sleap_deeplabcut(files):
    import sleap_io

    return _sleap(sleap_io.load_file(str(files / 'uneven_deeplabcut.csv')))


def sleap_coco(files):
    import sleap_io

    return _sleap(
        sleap_io.load_coco(str(files / 'uneven_coco/dataset.json'), dataset_root=str(files))
    )


def sleap_nwb(files):
    import sleap_io

    return _sleap(sleap_io.load_nwb(str(files / 'uneven.nwb')))


def pynwb_nwb(files):
    import ndx_pose  # noqa: F401
    from pynwb import NWBHDF5IO

    rows, times = [], {}
    with NWBHDF5IO(str(files / 'uneven.nwb'), 'r') as stream:
        module = stream.read().processing['behavior']
        for name, person in module.data_interfaces.items():
            if name == 'Skeletons':
                continue
            for series in person.pose_estimation_series.values():
                joint = series.name
                stamps = series.get_timestamps()
                for frame, (x, y) in enumerate(series.data[:]):
                    score = float(series.confidence[frame])
                    rows.append([frame, name, joint, float(x), float(y), score])
                    times[frame] = stamps[frame]
    return result(rows, len(times), times)


def first_cause(kind, error, trace):
    """An error told by what began it."""
    while error.__cause__ is not None:
        error = error.__cause__
    print(f'{type(error).__name__}: {error}', file=sys.stderr)


if __name__ == '__main__':
    sys.excepthook = first_cause
    made = {**vars(label_consumers), **globals()}[sys.argv[1]](pathlib.Path(sys.argv[2]))
    print(json.dumps(made, default=float))
