"""Programs that evaluate, triangulate, annotate and show poses: see ``consumers.py``."""

import json
import pathlib

import numpy as np
from consumed import result

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

    sides = {'R': 'right_', 'L': 'left_'}
    ids = {}
    for node in COCO_17.descendants:
        if node.id is not None:
            side = sides.get(node.name[0], '') if node.name[1:2].isupper() else ''
            ids[side + node.name[bool(side) :].lower()] = node.id
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


def label_studio_coco(files):
    """Through its own converter, as somebody who has corrected the poses exports them."""
    from label_studio_sdk.converter import Converter

    folder = files / 'uneven_label_studio'
    tasks = json.loads((folder / 'tasks.json').read_text())
    exported = []
    for number, task in enumerate(tasks, 1):
        done = [{**found, 'id': number, 'completed_by': 1} for found in task['predictions']]
        exported.append({**task, 'id': number, 'annotations': done})
    source, target = files / 'label_studio_export.json', files / 'label_studio_coco'
    source.write_text(json.dumps(exported))
    converter = Converter(str(folder / 'config.xml'), str(folder), download_resources=False)
    converter.convert_to_coco(str(source), str(target), str(target / 'images'), is_dir=False)
    content, rows = json.loads((target / 'result.json').read_text()), []
    names = next(c['keypoints'] for c in content['categories'] if c.get('keypoints'))
    frames = {i['id']: int(pathlib.Path(i['file_name']).stem) for i in content['images']}
    for found in content['annotations']:
        if 'keypoints' not in found:
            continue
        triples = np.reshape(found['keypoints'], (-1, 3)).tolist()
        for name, (x, y, v) in zip(names, triples):
            if v:
                rows.append([frames[found['image_id']], None, name, x, y, None])
    return result(rows, len(frames))


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
    from rerun.server import Server

    with Server(datasets={'poses': [str(files / 'uneven.rrd')]}) as server:
        client = server.client()  # all have to live until the table is there
        data = client.get_dataset('poses')
        reader = data.reader(index='frame')
        table = reader.to_pandas()
    rows, times = [], {}
    (context,) = table['/poses:AnnotationContext:context'].iloc[0][0]
    names = {n['id']: n['label'] for n in context['class_description']['keypoint_annotations']}
    for record in table.to_dict('records'):
        frame = int(record['frame'])
        times[frame] = record['time'].total_seconds()
        for track in ('track_3', 'track_7'):
            entity = f'/poses/{track}/keypoints:'
            ids = record[f'{entity}Points2D:keypoint_ids']
            if ids is None:
                continue
            places = record[f'{entity}Points2D:positions']
            for index, (x, y), score in zip(ids, places, record[f'{entity}score']):
                rows.append([frame, track, names[index], float(x), float(y), float(score)])
    return result(rows, len(times), times)
