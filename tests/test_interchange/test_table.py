import numpy as np
import pytest
from interchange_cases import POSETRACK, points_of, two_people

from diffpose_mm.interchange import NO_TRACK, TableBuilder


def build(frames, poses=(), names=('nose', 'left_wrist')):
    """A table of (number, time), and (frame, track) of poses."""
    builder = TableBuilder(names)
    for number, time in frames:
        builder.add_frame(number, time)
        for frame, track in poses:
            if frame == number:
                builder.add_pose([[1, 2], [3, 4]], [0.5, 0.7], track)
    return builder.table()


@pytest.mark.parametrize(
    'frames, poses, words',
    [
        ([(0, 0.0), (2, 0.2), (1, 0.3)], (), 'frame 1 comes after frame 2'),
        ([(0, 0.0), (1, 0.2), (2, 0.1)], (), 'time 0.1 of frame 2 comes after time 0.2'),
        ([(0, 0.1), (1, 0.1)], (), 'time 0.1 of frame 1'),
        ([(4, None)], [(4, 2), (4, 2)], 'frame 4 has track 2 2 times'),
    ],
)
def test_what_cannot_be_is_refused(frames, poses, words):
    """Broken if formats with a row a frame and person wrote one pose over another."""
    with pytest.raises(ValueError, match=words):
        build(frames, poses)


def test_times_may_be_missing_here_and_there():
    """Broken if a frame that could not be read made the file unreadable."""
    table = build([(0, 0.0), (1, None), (2, 0.2)])
    assert table.time_of(2) == 0.2 and table.time_of(1) is None and table.time_of(9) is None
    assert not table.has_times


def test_poses_are_found_by_frame_and_by_track():
    """Broken if a gap shifted people to frames in which they are not."""
    table = two_people()
    assert [len(poses) for _, poses in table.by_frame()] == [1, 2, 2, 2, 2, 1, 2, 0]
    tracks = {track: table.frame[poses].tolist() for track, poses in table.by_track()}
    assert tracks == {3: [0, 1, 2, 3, 4, 5, 6], 7: [1, 2, 3, 4, 6]}
    for track, poses in table.by_track():
        for pose in poses:
            known = table.present[pose]
            expected = points_of(track, table.frame[pose])
            np.testing.assert_array_equal(table.points[pose][known], expected[known])


def test_people_without_number_get_one_that_nobody_has():
    """Broken if somebody without a number was taken for person 0, or for another one."""
    builder = TableBuilder(['nose'])
    for frame, tracks in enumerate([(0, None, None), (None, 0)]):
        builder.add_frame(frame)
        for track in tracks:
            builder.add_pose([[1, 1]], track=track)
    table = builder.table()
    assert not table.is_tracked and table.track.tolist() == [0, NO_TRACK, NO_TRACK, NO_TRACK, 0]
    assert table.with_all_tracks().track.tolist() == [0, 1, 2, 1, 0]


def test_even_rate():
    """Broken if times that a format with a rate cannot hold were lost unsaid."""
    assert build([(i, i / 25) for i in range(4)]).even_rate is False  # the rate is not known
    table = two_people(fps=25.0)
    assert not table.even_rate
    table.times[:] = table.frames / 25
    assert table.even_rate
    table.times[:] = table.frames / 25 + 0.5
    assert not table.even_rate


def test_set_of_keypoints_goes_by_name():
    """Broken if PoseTrack's neck became COCO's left eye, which has the same place."""
    table = two_people()
    coco = table.in_set('coco17')
    assert coco.absent == ('left_eye', 'right_eye', 'left_ear', 'right_ear')
    assert coco.keypoints[5] == POSETRACK.keypoints[5] == 'left_shoulder'
    np.testing.assert_array_equal(coco.points[:, 5], table.points[:, 5])
    assert np.isnan(coco.points[:, 1:5]).all() and np.isnan(coco.scores[:, 1:5]).all()
    other = build([(0, None)], [(0, 1)], names=('paw', 'tail'))
    with pytest.raises(ValueError, match='none of the keypoints paw, tail is in coco17'):
        other.in_set('coco17')


def test_given_boxes_do_not_make_all_poses_equal():
    """Broken if average precision could not rank people whose boxes all have score 1."""
    table = two_people()
    scores = [table.pose_score(pose) for pose in np.flatnonzero(table.frame == 3)]
    by_hand = np.nanmean(table.scores[table.frame == 3], axis=1)
    np.testing.assert_allclose(scores, by_hand)
    assert scores[0] != scores[1]


def test_box_is_that_around_the_keypoints_where_there_is_none():
    """Broken if formats that need a box could not take poses of other tools."""
    table = build([(0, None)], [(0, 1)])
    assert table.box_of(0).tolist() == [1, 2, 3, 4]
    table.points[:] = np.nan
    assert np.isnan(table.box_of(0)).all()


def test_wrong_number_of_values_is_named():
    """Broken if numpy's words about broadcasting were all that a user is told."""
    builder = TableBuilder(['nose', 'neck'])
    builder.add_frame(0)
    with pytest.raises(ValueError, match='scores has 3 numbers, not 2'):
        builder.add_pose([[1, 2], [3, 4]], [1, 1, 1])
