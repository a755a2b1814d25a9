"""What is wrong with a download is found, named and survivable."""

import json

import pytest
from official_posetrack import (
    SIZE,
    edit,
    load,
    make_truth,
    write_posetrack18,
)

from diffpose_mm.datasets import PoseTrack18ClipDataset
from diffpose_mm.evaluation import (
    load_ground_truth,
)
from diffpose_mm.posetrack import FINDINGS, prepare

FAULTS = {
    'keyframe missing or unreadable': lambda root, c: (root / c['images'][3]['file_name']).unlink(),
    'neighbour missing or unreadable': lambda root, c: (
        root / c['images'][0]['file_name']
    ).write_bytes(b''),
    'image of another size': lambda root, c: c['images'][2].update(width=SIZE[0], height=80),
    'ignore region malformed': lambda root, c: c['images'][2].update(ignore_regions_x=[[1, 2]]),
    'annotation of an unlisted image': lambda root, c: c['annotations'][0].update(image_id=5),
    'frame count': lambda root, c: [i.update(nframes=9) for i in c['images']],
    'frame numbers jump': lambda root, c: c['images'].pop(1),
    'video without a labelled frame': lambda root, c: [
        i.update(is_labeled=False) for i in c['images']
    ],
    'duplicate annotation id': lambda root, c: c['annotations'][1].update(
        id=c['annotations'][0]['id']
    ),
    'duplicate track id': lambda root, c: c['annotations'][1].update(track_id=0),
    'person on an unlabelled frame': lambda root, c: c['images'][3].update(is_labeled=False),
    'person without keypoints': lambda root, c: c['annotations'][0].update(keypoints=[]),
    'person without a head box': lambda root, c: c['annotations'][0].pop('bbox_head'),
    'box without area': lambda root, c: c['annotations'][0].update(bbox=[3, 4, 0, 9]),
    'box outside the image': lambda root, c: c['annotations'][0].update(bbox=[160, 4, 9, 9]),
    'joint outside the image': lambda root, c: c['annotations'][0]['keypoints'].__setitem__(
        slice(0, 3), [-1, 5, 1]
    ),
}


ALSO = {
    'keyframe missing or unreadable': {'frame count'},
    'image of another size': {'joint outside the image'},
    'frame numbers jump': {'frame count'},
    'video without a labelled frame': {'person on an unlabelled frame'},
}


@pytest.mark.parametrize('kind', FAULTS)
def test_each_fault_is_found_named_and_survivable(kind, tmp_path):
    """A fault that is not counted, or stops the files from being read, would show in training."""
    file = write_posetrack18(tmp_path / 'src', make_truth())[0]
    edit(file, lambda content: FAULTS[kind](tmp_path / 'src', content))
    report = prepare(18, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    found = {k for k, places in report.found.items() if places}
    assert found == {kind} | ALSO.get(kind, set())
    assert all('000000' in place for place in report.found[kind])
    assert report.needs_attention == FINDINGS[kind][0]
    assert kind in report.text() and report.found[kind][0] in report.text()
    written = json.loads((tmp_path / 'out/prepare_report.json').read_text())
    assert written['findings'][kind]['places'] == report.found[kind]

    path = tmp_path / 'out/annotations/posetrack18_val.json'
    dataset = PoseTrack18ClipDataset(ann_file=str(path), data_root=str(tmp_path / 'out'))
    assert len(dataset) >= 8
    load_ground_truth(path)
    ids = [ann['id'] for ann in load(tmp_path / 'out', 18)['annotations']]
    assert len(set(ids)) == len(ids)
