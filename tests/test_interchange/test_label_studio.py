import json
from xml.etree import ElementTree

import numpy as np
from interchange_cases import two_people

from diffpose_mm.interchange.label_studio import write_label_studio


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
