"""The official files of each year: hidden joints, boxes alone, and what is broken."""

import json

import pytest
from official_posetrack import (
    edit,
    load,
    make_truth,
    write_posetrack17,
    write_posetrack18,
)

from diffpose_mm.datasets import PoseTrack18ClipDataset
from diffpose_mm.evaluation import (
    load_ground_truth,
)
from diffpose_mm.posetrack import BrokenFileError, Report, prepare, read_video


@pytest.mark.parametrize(
    'kind, point',
    [
        ('unknown joint', dict(id=[15], x=[1], y=[2])),
        ('joint twice', dict(id=[13], x=[1], y=[2])),
        ('joint not finite', dict(id=[13], x=['nan'], y=[2])),
    ],
)
def test_faults_of_joints_of_posetrack17(kind, point, tmp_path):
    """A joint with a number or place that is none would land on another joint."""
    truth = make_truth(videos=1)
    (file,) = write_posetrack17(tmp_path / 'src', truth)

    def change(content):
        points = content['annolist'][2]['annorect'][0]['annopoints'][0]['point']
        if kind == 'joint not finite':
            points[:] = [p for p in points if p['id'] != [13]]
        points.append(point)

    edit(file, change)
    report = prepare(17, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    assert {k for k, places in report.found.items() if places} == {kind}
    keypoints = load(tmp_path / 'out', 17)['annotations'][0]['keypoints']
    nose = truth[0][2]['people'][0]['joints']['nose']
    assert keypoints[:3] == ([0, 0, 0] if kind == 'joint not finite' else [*nose, 1])


def test_hidden_joints_of_posetrack17_are_annotated_and_flagged(tmp_path):
    """is_visible 0 is a hard joint, not a missing one: the official evaluation counts it."""
    (file,) = write_posetrack17(tmp_path / 'src', make_truth(videos=1))

    def change(content):
        points = content['annolist'][2]['annorect'][0]['annopoints'][0]['point']
        next(p for p in points if p['id'] == [13])['is_visible'] = [0]

    edit(file, change)
    prepare(17, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    first, second = load(tmp_path / 'out', 17)['annotations'][:2]
    assert first['keypoints'][2] == 1 and first['occluded'] == [1] + 16 * [0]
    assert 'occluded' not in second


def test_hidden_joints_of_posetrack21_are_annotated_and_flagged(tmp_path):
    """Its evaluation asks for coordinates, not for visibility: such joints have to be learnt."""
    file = write_posetrack18(tmp_path / 'src', make_truth(videos=1), year=21)[0]

    def change(content):
        nose = content['categories'][0]['keypoints'].index('nose')
        content['annotations'][0]['keypoints'][3 * nose + 2] = 0

    edit(file, change)
    prepare(21, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    first, second = load(tmp_path / 'out', 21)['annotations'][:2]
    assert first['keypoints'][2] == 1 and first['occluded'] == [1] + 16 * [0]
    assert 'occluded' not in second
    dataset = PoseTrack18ClipDataset(
        ann_file='annotations/posetrack21_val.json', data_root=str(tmp_path / 'out')
    )
    assert dataset.get_data_info(0)['keypoints_visible'][0, 0] == 1


def test_boxes_alone_on_unlabelled_frames_of_posetrack21_do_not_count(tmp_path):
    """PoseTrack21 evaluates labelled frames only; a box would make the frame count here."""
    file = write_posetrack18(tmp_path / 'src', make_truth(videos=1), year=21)[0]

    def change(content):
        box = dict(bbox=[1, 2, 3, 4], category_id=1, track_id=7, person_id=9)
        for number, index in enumerate((0, 2)):  # not labelled, labelled
            image_id = content['images'][index]['id']
            content['annotations'].append(dict(box, id=number, image_id=image_id))

    edit(file, change)
    report = prepare(21, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    assert len(report.found['person on an unlabelled frame']) == 1
    content = load(tmp_path / 'out', 21)
    assert [ann['id'] for ann in content['annotations'] if not ann['num_keypoints']] == [1]
    assert content['annotations'][0]['person_id'] == 1024
    load_ground_truth(tmp_path / 'out/annotations/posetrack21_val.json')


BROKEN = {
    'no json': (lambda c: None, 'cannot be read as JSON'),
    'a list': (lambda c: [c], 'holds a list'),
    'no images': (lambda c: c.pop('images'), '"images" is missing'),
    'no categories': (lambda c: c.update(categories=[]), r'categories\[0\]\["keypoints"\]'),
    'COCO': (
        lambda c: c['categories'][0]['keypoints'].__setitem__(1, 'left_eye'),
        'lacks head_bottom',
    ),
    'id': (lambda c: c['images'][1].update(id='7'), r"images\[1\]: id is '7'"),
    'id twice': (lambda c: c['images'][1].update(id=c['images'][0]['id']), '"id" twice'),
    'no file name': (lambda c: c['images'][1].pop('file_name'), "lacks 'file_name'"),
    'path out': (lambda c: c['images'][1].update(file_name='../a/1.jpg'), r'\.\./a/1\.jpg'),
    'no folder': (lambda c: c['images'][1].update(file_name='1.jpg'), 'must be a path like'),
    'keypoints': (
        lambda c: c['annotations'][2].update(keypoints=[1, 2, 3]),
        "3 values in 'keypoints'",
    ),
    'text': (lambda c: c['annotations'][2]['keypoints'].__setitem__(4, 'x'), "holds 'x'"),
    'nan': (lambda c: c['annotations'][2]['keypoints'].__setitem__(4, float('nan')), 'holds nan'),
    'box': (lambda c: c['annotations'][2].update(bbox=[1, 2]), "2 values in 'bbox'"),
    'huge': (lambda c: c['annotations'][2].update(bbox=[1, 2, 10**400, 3]), "'bbox' holds 100"),
    'track': (lambda c: c['annotations'][2].update(track_id=[4]), r'track_id is \[4\]'),
    'PoseTrack17': (lambda c: c.update(annolist=[]), 'is --year right'),
}


@pytest.mark.parametrize('fault', BROKEN)
def test_a_broken_file_is_named_with_its_field(fault, tmp_path):
    """A file that cannot be read must not vanish in 500 others, nor end the work on them."""
    change, message = BROKEN[fault]
    file = write_posetrack18(tmp_path, make_truth(videos=1))[0]
    content = json.loads(file.read_text())
    changed = change(content)
    file.write_text('{"images": [' if fault == 'no json' else json.dumps(
        changed if fault == 'a list' else content))  # fmt: skip
    with pytest.raises(BrokenFileError, match=message) as error:
        read_video(file, 18, 1, Report())
    assert str(error.value).startswith(f'{file.name}: ')
