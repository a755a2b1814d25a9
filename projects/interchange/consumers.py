"""The programs that read poses, each by its own function; run where they are installed.

    python consumers.py NAME FILES

prints, as the last line, JSON of what NAME made of the files in the folder FILES: rows frame,
track, joint, x, y, score, the number of frames, and the time of each where it has them. What a
program does not have is null.
"""

import json
import math
import pathlib
import sys

import numpy as np

COLUMNS = ('frame_id', 'track_id', 'keypoint', 'x', 'y', 'score')


def result(rows, frames=None, times=None):
    kept = [
        [None if isinstance(v, float) and math.isnan(v) else v for v in row]
        for row in rows
        if np.isfinite(row[3]) and np.isfinite(row[4])
    ]
    times = None if times is None else {int(k): float(v) for k, v in dict(times).items()}
    return dict(rows=kept, frames=frames, times=times)


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

    return _sleap(sleap_io.load_coco(str(files / 'uneven_coco/dataset.json')))


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


# --- evaluation


def pycocotools_results(files):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    folder = files / 'uneven_coco'
    truth = COCO(str(folder / 'dataset.json'))
    found = truth.loadRes(str(folder / 'results.json'))
    names = truth.cats[1]['keypoints']
    sigmas = json.loads((folder / 'sigmas.json').read_text())['sigmas']
    run = COCOeval(truth, found, 'keypoints')
    run.params.kpt_oks_sigmas = np.array([s or 0.1 for s in sigmas])
    run.evaluate()
    run.accumulate()
    run.summarize()
    assert run.stats[0] == 1, f'AP of the poses against themselves is {run.stats[0]}'
    rows = []
    for pose in found.anns.values():
        for name, (x, y, v) in zip(names, np.reshape(pose['keypoints'], (-1, 3)).tolist()):
            if v:
                frame = truth.imgs[pose['image_id']]['frame_id']
                rows.append([frame, pose['track_id'], name, x, y, v])
    times = {image['frame_id']: image['time'] for image in truth.imgs.values()}
    return result(rows, len(truth.imgs), times)


def pycocotools_posetrack(files):
    from pycocotools.coco import COCO

    data = COCO(str(files / 'uneven_posetrack/uneven.json'))
    rows = []
    for pose in data.anns.values():
        frame = data.imgs[pose['image_id']]['frame_id']
        names = data.cats[pose['category_id']]['keypoints']
        places = np.reshape(pose['keypoints'], (-1, 3)).tolist()
        for name, (x, y, v), score in zip(names, places, pose['scores']):
            if v:
                rows.append([frame, pose['track_id'], name, x, y, score])
    times = {image['frame_id']: image['time'] for image in data.imgs.values()}
    return result(rows, len(data.imgs), times)


def datumaro_coco(files):
    import shutil

    import datumaro

    # Its folder: annotations beside images.
    folder = files / 'datumaro'
    (folder / 'annotations').mkdir(parents=True, exist_ok=True)
    (folder / 'images').mkdir(exist_ok=True)
    target = folder / 'annotations' / 'person_keypoints_default.json'
    shutil.copyfile(files / 'uneven_coco/dataset.json', target)
    data = datumaro.Dataset.import_from(str(folder), 'coco_person_keypoints')
    return _datumaro(data, lambda item: item.attributes['id'])


def datumaro_cvat(files):
    import datumaro

    data = datumaro.Dataset.import_from(str(files / 'uneven_cvat.xml'), 'cvat')
    return _datumaro(data, lambda item: item.attributes['frame'])


def _datumaro(data, frame_of):
    import datumaro

    points = data.categories().get(datumaro.AnnotationType.points)
    rows, frames = [], set()
    for item in data:
        frame = int(frame_of(item))
        frames.add(frame)
        for found in item.annotations:
            if found.type != datumaro.AnnotationType.points:
                continue
            names = points.items[found.label].labels
            track = found.attributes.get('track_id')
            places = np.reshape(found.points, (-1, 2)).tolist()
            for name, (x, y), seen in zip(names, places, found.visibility):
                if seen.value:
                    rows.append([frame, track, name, x, y, None])
    return result(rows, len(frames))


def _boxes(table):
    """Boxes as two joints: the corners."""
    rows = []
    for frame, track, left, top, width, height, score in table:
        rows.append([frame, track, 'left top', left, top, score])
        rows.append([frame, track, 'right bottom', left + width, top + height, score])
    return rows


def motmetrics_mot(files):
    import motmetrics

    table = motmetrics.io.loadtxt(files / 'uneven_mot/uneven.txt', fmt='mot15-2D')
    columns = table[['X', 'Y', 'Width', 'Height', 'Confidence']].to_numpy(float).tolist()
    found = [(f - 1, t - 1, *values) for (f, t), values in zip(table.index.tolist(), columns)]
    return result(_boxes(found))


def trackeval_mot(files):
    import shutil

    import trackeval

    work = files / 'trackeval'
    for place in ('gt/walk/uneven/gt/gt.txt', 'trackers/walk/ours/data/uneven.txt'):
        (work / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files / 'uneven_mot/uneven.txt', work / place)
    ini = work / 'gt/walk/uneven/seqinfo.ini'
    shutil.copyfile(files / 'uneven_mot/seqinfo.ini', ini)
    data = trackeval.datasets.MotChallenge2DBox(
        dict(
            GT_FOLDER=str(work / 'gt/walk'),
            TRACKERS_FOLDER=str(work / 'trackers/walk'),
            SKIP_SPLIT_FOL=True,
            SEQ_INFO={'uneven': None},
            DO_PREPROC=False,
            PRINT_CONFIG=False,
        )
    )
    raw = data.get_raw_seq_data('ours', 'uneven')
    found = [
        (frame, int(track) - 1, box[0] - 1, box[1] - 1, box[2], box[3], float(score))
        for frame in range(raw['num_timesteps'])
        for track, box, score in zip(
            raw['tracker_ids'][frame],
            raw['tracker_dets'][frame].tolist(),
            raw['tracker_confidences'][frame],
        )
    ]
    return result(_boxes(found), raw['num_timesteps'])


# --- biomechanics


def pose2sim_openpose(files):
    from Pose2Sim import personAssociation
    from Pose2Sim.skeletons import COCO_17

    ids = {node.name: node.id for node in COCO_17.descendants if node.id is not None}
    folder = files / 'uneven_openpose'
    rows = []
    paths = sorted(folder.glob('*.json'))
    for frame, path in enumerate(paths):
        people = personAssociation.read_json(str(path))
        for place, person in enumerate(people):
            for name, index in ids.items():
                x, y, score = person[3 * index : 3 * index + 3]
                if score:
                    rows.append([frame, place, name, x, y, score])
    return result(rows, len(paths))


# --- annotation


def label_studio(files):
    from label_studio_sdk.label_interface import LabelInterface

    folder = files / 'uneven_label_studio'
    interface = LabelInterface((folder / 'config.xml').read_text())
    tasks = json.loads((folder / 'tasks.json').read_text())
    rows, times = [], {}
    for task in tasks:
        frame = task['data']['frame_id']
        times[frame] = task['data']['time']
        for prediction in task['predictions']:
            assert interface.validate_prediction(prediction), prediction
            _regions(rows, frame, prediction['result'])
    return result(rows, len(tasks), times)


def label_studio_json(files):
    """Through its own converter, as somebody who has corrected the poses exports them."""
    from label_studio_sdk.converter import Converter

    folder = files / 'uneven_label_studio'
    tasks = json.loads((folder / 'tasks.json').read_text())
    exported = []
    for number, task in enumerate(tasks, 1):
        done = [{**found, 'id': number, 'completed_by': 1} for found in task['predictions']]
        exported.append({**task, 'id': number, 'annotations': done})
    source = files / 'label_studio_export.json'
    source.write_text(json.dumps(exported))
    target = files / 'label_studio_json'
    converter = Converter(str(folder / 'config.xml'), str(folder), download_resources=False)
    converter.convert_to_json(str(source), str(target))
    rows, tasks = [], json.loads((target / 'result.json').read_text())
    for task in tasks:
        for annotation in task['annotations']:
            _regions(rows, task['data']['frame_id'], annotation['result'])
    times = {task['data']['frame_id']: task['data']['time'] for task in tasks}
    return result(rows, len(tasks), times)


def _regions(rows, frame, regions):
    people = {
        r['id']: int(r['meta']['text'][0].split()[1])
        for r in regions
        if 'rectanglelabels' in r['value']
    }
    for region in regions:
        if 'keypointlabels' in region['value']:
            x = region['value']['x'] * region['original_width'] / 100
            y = region['value']['y'] * region['original_height'] / 100
            name = region['value']['keypointlabels'][0]
            rows.append([frame, people[region['parentID']], name, x, y, region.get('score')])


# --- viewers


def rerun_rrd(files):
    raise NotImplementedError


if __name__ == '__main__':
    made = globals()[sys.argv[1]](pathlib.Path(sys.argv[2]))
    print(json.dumps(made, default=float))
