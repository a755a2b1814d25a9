"""MOTA of joints: poseval's rules counted by hand, and where the track ids come from."""

import json
import logging

import numpy as np
import pytest
from evaluation_cases import KEYPOINTS
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS

from diffpose_mm.evaluation import load_ground_truth, load_submission
from diffpose_mm.evaluation.posetrack_mota import link_by_oks

META = dict(
    parse_pose_metainfo(dict(from_file='configs/_base_/datasets/posetrack18.py')),
    box_source='detected',
)
BODY = np.random.default_rng(0).uniform(0, 100, (17, 2))


def place(person, frame):
    """Joints (17, 2) of a person: a body that walks, two of them 300 pixels apart."""
    return BODY + (300 * person + 5 * frame, 10)


def write_truth(folder, frames=5, persons=2, regions=(), videos=1):
    images, annotations = [], []
    for video in range(videos):
        for frame in range(frames):
            image_id = 1000 * video + frame
            image = dict(id=image_id, file_name=f'images/val/{video:06d}_mpii_test/{frame:06d}.jpg')
            if frame in regions:
                image.update(
                    ignore_regions_x=[[-1, 9999, 9999, -1]], ignore_regions_y=[[-1, -1, 9999, 9999]]
                )
            images.append(image)
            for person in range(persons):
                triplets = np.column_stack([place(person, frame), np.ones(17)])
                annotations.append(
                    dict(
                        id=len(annotations),
                        image_id=image_id,
                        track_id=person,
                        bbox_head=[0, 0, 30, 40],
                        keypoints=triplets.ravel().tolist(),
                    )
                )
    category = dict(id=1, name='person', keypoints=KEYPOINTS)
    path = folder / 'posetrack18_val.json'
    path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=[category])))
    return path


def sample(number, frame, points, track=-1, score=0.9, video=0):
    return dict(
        id=number,
        img_id=1000 * video + frame,
        track_id=track,
        pred_instances=dict(keypoints=points[None], keypoint_scores=np.full((1, 17), score)),
        gt_instances=dict(bbox_scores=np.ones(1), bbox_scales=np.full((1, 2), 100.0)),
    )


def walk(frames=5, persons=2, track=lambda person, frame: person, **kwargs):
    pairs = [(frame, person) for frame in range(frames) for person in range(persons)]
    return [
        sample(i, frame, place(person, frame), track(person, frame), **kwargs)
        for i, (frame, person) in enumerate(pairs)
    ]


def evaluate(path, samples, **arguments):
    metric = METRICS.build(dict(type='PoseTrackMOTA', ann_file=str(path), **arguments))
    metric.dataset_meta = META
    metric.process([], samples)
    return metric.evaluate(len(samples))


@pytest.mark.parametrize('tracks', ['oks', 'boxes'])
def test_right_tracks_are_worth_100(tracks, tmp_path):
    metrics = evaluate(write_truth(tmp_path), walk(), tracks=tracks)
    groups = [f'posetrack/{name} MOTA' for name in 'Head Shou Elb Wri Hip Knee Ankl'.split()]
    assert list(metrics) == [
        *groups,
        'posetrack/MOTA',
        'posetrack/MOT precision',
        'posetrack/MOT recall',
        'posetrack/IDF1',
    ]
    assert set(metrics.values()) == {100.0}


def test_a_change_of_number_counts_once(tmp_path):
    """Of 5 frames 4 count, 2 persons each: a switch costs an eighth, an exchange of two twice."""
    path = write_truth(tmp_path)
    renamed = walk(track=lambda person, frame: person + 7 * (person == 1 and frame > 1))
    assert evaluate(path, renamed, tracks='boxes')['posetrack/MOTA'] == 100 * (1 - 1 / 8)
    exchanged = walk(track=lambda person, frame: person ^ (frame > 1))
    assert evaluate(path, exchanged, tracks='boxes')['posetrack/MOTA'] == 100 * (1 - 2 / 8)
    assert evaluate(path, exchanged, tracks='boxes')['posetrack/MOT recall'] == 100
    late = walk(track=lambda person, frame: person ^ (frame == 4))
    assert evaluate(path, late, tracks='boxes')['posetrack/MOTA'] == 100, 'last frame counts'


def test_tracks_of_two_videos_are_apart(tmp_path):
    """The same number in another video is another person."""
    path = write_truth(tmp_path, videos=2)
    samples = [*walk(), *walk(track=lambda person, frame: 1 - person, video=1)]
    for number, one in enumerate(samples):
        one['id'] = number
    assert evaluate(path, samples, tracks='boxes')['posetrack/MOTA'] == 100


def test_frames_are_taken_in_order(tmp_path):
    """A switch in the last frame does not count, whatever the place of that frame in the file."""
    path = write_truth(tmp_path)
    content = json.loads(path.read_text())
    content['images'].reverse()
    path.write_text(json.dumps(content))
    late = walk(track=lambda person, frame: person ^ (frame == 4))
    assert evaluate(path, late, tracks='boxes')['posetrack/MOTA'] == 100


def test_misses_and_false_positives(tmp_path):
    """A person missed twice, a person who is not there once, of 8 true ones."""
    path = write_truth(tmp_path)
    samples = [s for s in walk() if not (s['track_id'] == 1 and s['img_id'] in (1, 2))]
    samples.append(sample(99, 3, place(5, 3), track=5))
    metrics = evaluate(path, samples, tracks='boxes')
    assert metrics['posetrack/MOTA'] == 100 * (1 - 3 / 8)
    assert metrics['posetrack/MOT precision'] == pytest.approx(100 * 6 / 7)
    assert metrics['posetrack/MOT recall'] == 100 * 6 / 8


def test_a_frame_without_persons_or_poses_counts_three_things(tmp_path):
    """One true joint, a miss and a false positive, for poseval: 7 true, 2 errors; and by a region
    that covers everything likewise."""
    path = write_truth(tmp_path)
    samples = [s for s in walk() if s['img_id'] != 1]
    expected = pytest.approx(100 * (1 - 2 / 7))
    assert evaluate(path, samples, tracks='boxes')['posetrack/MOTA'] == expected
    covered = write_truth(tmp_path, regions=(1,))
    assert evaluate(covered, walk(), tracks='boxes')['posetrack/MOTA'] == expected


def test_a_person_without_joints_leaves_false_positives(tmp_path):
    """In a frame without regions nothing is deleted: 3 true joints, one pose with no partner."""
    path = write_truth(tmp_path, persons=1)
    content = json.loads(path.read_text())
    content['annotations'][1]['keypoints'] = [0] * 51
    path.write_text(json.dumps(content))
    metrics = evaluate(path, walk(persons=1), tracks='boxes')
    assert metrics['posetrack/MOTA'] == pytest.approx(100 * (1 - 1 / 3))


def test_weak_joints_are_no_predictions(tmp_path):
    """Below joint_thr a wrong joint costs nothing but a miss."""
    path = write_truth(tmp_path)
    samples = walk()
    wrong = sample(50, 0, place(4, 0), track=4, score=0.29)
    far = evaluate(path, [*samples, wrong], tracks='boxes', joint_thr=0.2)
    assert far['posetrack/MOTA'] == 100 * (1 - 1 / 8)
    assert evaluate(path, [*samples, wrong], tracks='boxes')['posetrack/MOTA'] == 100


def test_oks_links_the_most_similar_first_and_over_gaps():
    def pose(person, frame):
        return dict(keypoints=place(person, frame), keypoint_scores=np.ones(17), area=1e4)

    frames = [
        [pose(0, 0), pose(1, 0)],
        [pose(1, 1), pose(-0.06, 1), pose(0, 1)],  # one that is similar, one that is more so
        [pose(1, 2)],
        [],
        [pose(0, 4), pose(1, 4)],  # seen last three frames before
        [],
        [],
        [],
        [pose(0, 4)],  # four frames before
    ]
    link_by_oks(frames, 0.3, 2, META['sigmas'])
    found = [[p['track_id'] for p in frame] for frame in frames]
    assert found == [[0, 1], [1, 2, 0], [1], [], [0, 1], [], [], [], [3]]


def test_submission_carries_the_tracks(tmp_path):
    """It is read back with the numbers that were evaluated, as the official server needs them."""
    path = write_truth(tmp_path)
    samples = walk(track=lambda person, frame: person + 40)
    evaluate(path, samples, tracks='boxes', outfile_prefix=str(tmp_path / 'out' / 'x'))
    poses = load_submission(tmp_path / 'out', load_ground_truth(path))
    assert [sorted(p['track_id'] for p in poses[i]) for i in range(5)] == [[40, 41]] * 5

    content = json.loads(path.read_text())
    for image in content['images'][1:4]:
        image['is_labeled'] = False
    path.write_text(json.dumps(content))
    evaluate(
        path,
        [s for s in walk() if s['img_id'] != 1],
        max_gap=0,
        outfile_prefix=str(tmp_path / 'oks' / 'x'),
    )
    poses = load_submission(tmp_path / 'oks', load_ground_truth(path))
    assert [sorted(p['track_id'] for p in poses[i]) for i in (0, 2, 3, 4)] == [[0, 1]] * 4


def test_stands_beside_ap_and_says_whose_boxes_and_tracks(tmp_path, caplog):
    logger = MMLogger.get_instance('test_posetrack_mota', log_level='INFO')
    logger.addHandler(caplog.handler)
    path = str(write_truth(tmp_path))
    evaluator = Evaluator(
        [
            dict(type='mmpose.PoseTrackAP', ann_file=path),
            dict(type='mmpose.PoseTrackMOTA', ann_file=path, tracks='boxes'),
        ]
    )
    evaluator.dataset_meta = META
    with caplog.at_level(logging.INFO):
        evaluator.process(walk())
        metrics = evaluator.evaluate(10)
    logger.removeHandler(caplog.handler)
    assert metrics['posetrack/AP'] == metrics['posetrack/MOTA'] == 100
    assert '1 videos; boxes: detected; tracks: of the boxes (detected)' in caplog.text


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    """No numbers of boxes, the same twice, annotations without, no motmetrics, a bad option."""
    path = write_truth(tmp_path)
    for track in (-1, 3):
        samples = walk(track=lambda person, frame, track=track: track)
        message = rf'000000.jpg have the track ids \[{track}, {track}\]'
        with pytest.raises(ValueError, match=message):
            evaluate(path, samples, tracks='boxes')
    with pytest.raises(ValueError, match="tracks must be 'oks' or 'boxes'"):
        evaluate(path, walk(), tracks='gt')
    content = json.loads(path.read_text())
    del content['annotations'][3]['track_id']
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="have no 'track_id'"):
        evaluate(path, walk())
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ImportError, match='pip install motmetrics'):
        evaluate(path, walk())


def test_idf1_by_hand(tmp_path):
    """Broken if a track that changes its number halfway counted as one that keeps it."""
    changed = walk(7, track=lambda person, frame: person + 10 * (person == 0 and frame >= 2))
    metrics = evaluate(write_truth(tmp_path, 7), changed, tracks='boxes')
    # Six frames count (rule 1). Person 1 is right in six; person 0 is best taken for track 10, in
    # four frames of six: ten right, two wrong, two missed.
    assert metrics['posetrack/IDF1'] == pytest.approx(100 * 20 / (20 + 2 + 2))
    assert metrics['posetrack/MOTA'] == pytest.approx(100 * (1 - 1 / 12))
