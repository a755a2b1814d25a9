"""A data set that a teacher labelled, read back by what reads data sets."""

import json

import cv2
import numpy as np
import pytest
from apis_helpers import read_video
from mmengine.registry import init_default_scope
from pycocotools.coco import COCO

from diffpose_mm.apis.label_rules import LabelRules
from diffpose_mm.apis.label_set import LabelSet, labels_of
from diffpose_mm.apis.sources import find_source
from diffpose_mm.datasets import ClipDataset

RULES = LabelRules(min_joints=5, min_height=10, max_jump=0.2)
COCO_KEYPOINTS = 'configs/_base_/datasets/coco.py'


def predictions(frames=7, score=0.8):
    """One person who walks, and one of whom the teacher is unsure."""
    entries = []
    for t in range(frames):
        people = []
        for track, sure in ((0, score), (4, 0.05)):
            points = np.stack((20 + 4 * t + np.arange(17), 10 + 4 * np.arange(17)), 1) + track
            people.append(
                dict(
                    keypoints=points.tolist(), keypoint_scores=[sure] * 17, track_id=track,
                    bbox=[[10 + 4 * t, 5, 45 + 4 * t, 80]], bbox_score=0.9,
                )
            )  # fmt: skip
        people[0]['keypoint_scores'][3] = 0.1
        entries.append(dict(frame_id=t, time=t / 10, instances=people))
    names = [f'joint_{i}' for i in range(17)]
    entries[0].update(meta=dict(keypoints=names, skeleton=[[0, 1]], fps=10.0), run=dict(a=1))
    return entries


@pytest.fixture
def labelled(tmp_path, video):
    data = LabelSet(str(tmp_path), 'train')
    people, counts = data.add('walk', find_source(video, True), predictions(), RULES, dict(a=1))
    return data, people, counts


def test_clips_come_out_of_it(labelled, tmp_path, video):
    """Broken if the frames, the joints or the weights were others than those of the teacher."""
    init_default_scope('mmpose')
    dataset = ClipDataset(
        ann_file='annotations/train', data_root=str(tmp_path), frame_offsets=(-1, 0, 1),
        metainfo=dict(from_file=COCO_KEYPOINTS),
        pipeline=[
            dict(type='LoadClip'), dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=(48, 64)),
            dict(type='GenerateTarget', encoder=dict(
                type='UDPHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1)),
            dict(type='WeightByScore'), dict(type='PackClipInputs'),
        ],
    )  # fmt: skip
    assert len(dataset) == 7
    info = dataset.get_data_info(2)
    np.testing.assert_allclose(info['keypoints'][0][5], (20 + 8 + 5, 10 + 20), atol=1e-3)
    np.testing.assert_allclose(info['bbox'][0], (18, 5, 53, 80))
    assert [path[-10:] for path in info['clip_paths']] == ['000001.jpg', '000002.jpg', '000003.jpg']
    picture = cv2.imread(info['clip_paths'][1]).astype(float)
    off = [np.abs(picture - frame).mean() for frame in read_video(video)]
    assert off[2] < 6 and sorted(off)[1] > off[2] + 1
    weights = dataset[2]['data_samples'].gt_instance_labels.keypoint_weights[0].numpy()
    inside = weights > 0
    assert not inside[3] and inside.sum() >= 10
    np.testing.assert_allclose(weights[inside], 0.8, atol=1e-6)


def test_files_are_what_other_tools_read(labelled, tmp_path):
    """Broken if ids began at 0, or a joint without a label had a place."""
    file = tmp_path / 'annotations/train/walk.json'
    coco = COCO(str(file))
    people = coco.loadAnns(coco.getAnnIds())
    assert len(people) == 7 and min(coco.anns) > 0 and min(coco.imgs) > 0
    for person in people:
        points = np.reshape(person['keypoints'], (17, 3))
        assert points[3].tolist() == [0, 0, 0] and (points[[0, 1, 2, 4], 2] == 2).all()
        assert person['num_keypoints'] == 16 and person['iscrowd'] == 0
        assert person['area'] == pytest.approx(35 * 75)
        assert person['scores'][3] == 0 and person['scores'][0] == 0.8


def test_what_was_left_out_is_counted(labelled, tmp_path):
    _, people, counts = labelled
    assert counts['frames'] == 7 and counts['people'] == 7 and counts['frames with labels'] == 7
    assert counts['people with too few sure joints'] == 7
    assert sum(label.reason is None for label in people) == 7
    info = json.loads((tmp_path / 'annotations/train/walk.json').read_text())['info']
    assert info['counts'] == dict(counts) and info['labels']['mean_score'] == 0.8


def test_videos_have_ids_of_their_own_and_one_split(labelled, tmp_path, video):
    data, _, _ = labelled
    LabelSet(str(tmp_path), 'val').add(
        'other', find_source(video, True), predictions(), RULES, dict(a=1)
    )
    files = [tmp_path / f'annotations/{name}.json' for name in ('train/walk', 'val/other')]
    ids = [{image['id'] for image in json.loads(file.read_text())['images']} for file in files]
    assert not ids[0] & ids[1]
    with pytest.raises(ValueError, match="walk.json: the video is in the split 'train' already"):
        LabelSet(str(tmp_path), 'val').find('walk', dict(a=1))


def test_same_video_is_found_and_another_is_refused(labelled):
    data, _, counts = labelled
    assert data.find('walk', dict(a=1))['counts'] == dict(counts)
    assert data.find('run', dict(a=1)) is None
    with pytest.raises(ValueError, match='another input of that name, another teacher'):
        data.find('walk', dict(a=2))


def test_frames_without_labels_are_neighbours_only(tmp_path, video):
    entries = predictions()
    entries[3]['instances'] = []
    LabelSet(str(tmp_path), 'train').add('walk', find_source(video, True), entries, RULES, {})
    data = json.loads((tmp_path / 'annotations/train/walk.json').read_text())
    assert [image['is_labeled'] for image in data['images']] == [t != 3 for t in range(7)]
    assert (tmp_path / 'images/walk/000003.jpg').exists()


def test_nothing_is_left_where_writing_fails(tmp_path, video, monkeypatch):
    """Broken if a video whose frames are not all there looked like one that is labelled."""
    from diffpose_mm.apis import label_set

    def full(path, image):
        raise OSError(f'cannot write {path}: No space left on device')

    monkeypatch.setattr(label_set, 'write_picture', full)
    data = LabelSet(str(tmp_path), 'train')
    with pytest.raises(OSError, match='No space left'):
        data.add('walk', find_source(video, True), predictions(), RULES, {})
    assert data.find('walk', {}) is None


def test_scores_beyond_one_are_cut():
    entries = predictions()
    entries[0]['instances'][0]['keypoint_scores'][0] = 1.3
    assert labels_of(entries)[0].scores[0] == 1
