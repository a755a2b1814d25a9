import json
from xml.etree import ElementTree

import numpy as np
import pytest
from interchange_cases import assert_same, two_people

from diffpose_mm.interchange.label_studio import read_label_studio, write_label_studio


def write(tmp_path, table):
    write_label_studio(table, tmp_path / 'l', 'walk')
    tasks = json.loads((tmp_path / 'l/tasks.json').read_text())
    return tasks, ElementTree.parse(tmp_path / 'l/config.xml').getroot()


def test_every_label_is_one_of_the_project(tmp_path):
    """Broken if Label Studio refused the tasks, or named every joint "person"."""
    tasks, config = write(tmp_path, two_people())
    labels = {
        (control.tag.lower(), control.get('name')): {label.get('value') for label in control}
        for control in config
        if control.tag != 'Image'
    }
    assert labels['keypointlabels', 'keypoints'] == set(two_people().keypoints) - {
        'left_ear',
        'right_ear',
    }
    order = [int(label.get('model_index')) for label in config.find('KeyPointLabels')]
    assert order == list(range(15))  # its export to COCO is refused without
    image = config.find('Image')
    assert image.get('value') == '$image'
    seen = set()
    for task in tasks:
        for region in task['predictions'][0]['result']:
            (own,) = region['value'][region['type']]
            assert own in labels[region['type'], region['from_name']]
            assert region['to_name'] == image.get('name')
            seen.add(region['id'])
    assert len(seen) == sum(len(task['predictions'][0]['result']) for task in tasks)


def test_percent_lead_back_to_pixels(tmp_path):
    """Broken if frames of another size had their joints in the wrong place."""
    table = two_people(frame_sizes={3: (640, 360)})
    tasks, _ = write(tmp_path, table)
    assert [task['data']['frame_id'] for task in tasks] == list(range(8))
    for task, (number, poses) in zip(tasks, table.by_frame()):
        regions = task['predictions'][0]['result']
        people = [region for region in regions if region['type'] == 'rectanglelabels']
        assert [p['meta']['text'] for p in people] == [[f'track {table.track[i]}'] for i in poses]
        for person, pose in zip(people, poses):
            width, height = table.size_of(number)
            assert (person['original_width'], person['original_height']) == (width, height)
            own = [r for r in regions if r.get('parentID') == person['id']]
            named = {r['value']['keypointlabels'][0]: r for r in own}
            there = [n for n, t in zip(table.keypoints, table.present[pose]) if t]
            assert sorted(named) == sorted(there)
            for name, region in named.items():
                joint = table.keypoints.index(name)
                value = region['value']
                found = [value['x'] * width / 100, value['y'] * height / 100]
                np.testing.assert_allclose(found, table.points[pose, joint])
                assert region['score'] == table.scores[pose, joint]


def test_rectangle_stays_within_the_picture(tmp_path):
    """Broken if a box that sticks out could not be drawn."""
    table = two_people()
    table.boxes[:] = [-50, -10, 2000, 300]
    tasks, _ = write(tmp_path, table)
    value = tasks[0]['predictions'][0]['result'][0]['value']
    assert (value['x'], value['y'], value['width']) == (0, 0, 100)


def test_read_back(tmp_path):
    """Broken if what was sent to be corrected came back as something else."""
    expected = two_people(frame_sizes={3: (640, 360)})
    write(tmp_path, expected)
    found = read_label_studio(tmp_path / 'l', 'posetrack17')
    assert_same(found, expected, but=('deviations', 'boxes', 'box_scores', 'fps'))
    np.testing.assert_allclose(found.boxes[:4], expected.boxes[:4])  # others are cut by the border
    assert found.frame_sizes == {3: (640, 360)}
    assert len(read_label_studio(tmp_path / 'l/tasks.json').keypoints) == 15


def corrected(tmp_path):
    """An export: the noses moved by a tenth of the picture, and each task skipped afterwards."""
    tasks, _ = write(tmp_path, two_people())
    for task in tasks:
        result = [dict(r) for r in task['predictions'][0]['result']]
        for region in result:
            region.pop('score', None)
            if region['value'].get('keypointlabels') == ['nose']:
                region['value'] = {**region['value'], 'x': region['value']['x'] + 10}
        skipped = dict(result=[], was_cancelled=True)
        task['annotations'] = [dict(result=result), skipped]
    return tasks


def test_corrections_count(tmp_path):
    """Broken if the predictions were read again, or an annotator's skip deleted a frame."""
    path = tmp_path / 'export.json'
    path.write_text(json.dumps(corrected(tmp_path)))
    found, expected = read_label_studio(path, 'posetrack17'), two_people()
    moved = found.points - expected.points
    np.testing.assert_allclose(moved[:, 0, 0][expected.present[:, 0]], 128)
    np.testing.assert_allclose(moved[:, 1:][expected.present[:, 1:]], 0, atol=1e-9)
    assert set(found.scores[found.present]) == {1}


def test_nothing_to_read_is_said(tmp_path):
    """Broken if tasks without a joint became poses of no keypoints."""
    path = tmp_path / 'export.json'
    path.write_text('[{"id": 1, "annotations": [], "data": {"image": "a/000001.jpg"}}]')
    with pytest.raises(ValueError, match='export.json: has no joints.*--keypoints'):
        read_label_studio(path)
    assert read_label_studio(path, 'coco17').frames.tolist() == [1]


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda task: task['data'].clear(), 'has no number of a frame'),
        (lambda task: task.pop('data'), "'data' is missing"),
        (
            lambda task: task['annotations'][0]['result'][1].pop('parentID'),
            "frame 3: the joint 'nose' is in no rectangle",
        ),
        (
            lambda task: task['annotations'][0]['result'][1]['value'].update(
                keypointlabels=['paw']
            ),
            "frame 3: 'paw' is none of the keypoints",
        ),
    ],
)
def test_bad_exports_are_named(tmp_path, change, words):
    """Broken if a joint that an annotator added went to whoever came first."""
    tasks = corrected(tmp_path)
    change(tasks[3])
    path = tmp_path / 'export.json'
    path.write_text(json.dumps(tasks))
    with pytest.raises(ValueError, match=words) as error:
        read_label_studio(path, 'posetrack17')
    assert str(error.value).startswith(f'{path}: ')
