"""Errors of motion of tested people: worked examples on a small set of videos."""

import numpy as np
import pytest
from mmpose.registry import METRICS
from test_posetrack_mota import META, place, sample, walk, write_truth


def evaluate(path, samples, **arguments):
    metric = METRICS.build(dict(type='PoseTrackMotion', ann_file=str(path), **arguments))
    metric.dataset_meta = META
    metric.process([], samples)
    return metric.evaluate(len(samples))


def test_right_poses_have_no_error(tmp_path):
    """Broken if joints, frames or people of truth and test were put beside others."""
    metrics = evaluate(write_truth(tmp_path, videos=2), walk() + walk(video=1))
    assert list(metrics) == ['posetrack/MPJVE', 'posetrack/MPJAE', 'posetrack/jitter']
    assert metrics['posetrack/MPJVE'] == metrics['posetrack/MPJAE'] == 0
    assert np.isnan(metrics['posetrack/jitter'])  # all walk, five pixels a frame


def test_one_leap_by_hand(tmp_path):
    """Broken if an error were counted in other frames or units, or of joints not at rest."""
    samples = walk()
    samples[4]['pred_instances']['keypoints'] += [3, 4]  # frame 2, person 0
    metrics = evaluate(write_truth(tmp_path), samples, still=6)
    # Of 2 people x 4 steps two are wrong by 5 px; of 2 x 3 second differences by 5, 10 and 5.
    assert metrics['posetrack/MPJVE'] == pytest.approx(2 * 5 / 8)
    assert metrics['posetrack/MPJAE'] == pytest.approx(20 / 6)
    assert metrics['posetrack/jitter'] == pytest.approx(20 / 6)


def test_what_is_missing_is_no_motion(tmp_path):
    """Broken if a frame in which a person is not found were bridged, or counted as a leap."""
    samples = [s for s in walk() if (s['img_id'], s['track_id']) != (2, 0)]
    samples[-1]['pred_instances']['keypoints'] = samples[-1]['pred_instances']['keypoints'] + [3, 4]
    metrics = evaluate(write_truth(tmp_path), samples)
    # Person 0 has the steps 0-1 and 3-4, person 1 all four, of which the last is wrong.
    assert metrics['posetrack/MPJVE'] == pytest.approx(5 / 6)
    assert metrics['posetrack/MPJAE'] == pytest.approx(5 / 3)


def test_people_without_the_annotated_ids_are_refused(tmp_path):
    """Broken if tracks of a tracker were compared with whoever has the same number."""
    path = write_truth(tmp_path)
    with pytest.raises(ValueError, match="boxes have no 'track_id'"):
        evaluate(path, walk(track=lambda person, frame: -1))
    with pytest.raises(ValueError, match='have to be the annotated ones'):
        evaluate(path, walk(track=lambda person, frame: person + 7))
    double = [*walk(), sample(99, 0, place(5, 0), track=1)]
    with pytest.raises(ValueError, match='two people have the track_id 1 in frame 0'):
        evaluate(path, double)
    with pytest.raises(ValueError, match='still=0'):
        evaluate(path, walk(), still=0)
