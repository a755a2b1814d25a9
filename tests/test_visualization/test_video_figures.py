"""Contact sheet and trajectories: the moments that are chosen, and pictures that are not empty."""

import cv2
import numpy as np
import pytest

from diffpose_mm.visualization.video_figures import (
    TrackHistory,
    contact_sheet,
    crop_to,
    trajectories,
)

NAMES = ['nose', 'left_wrist', 'right_wrist']


def history_of(xs, track=0, std=None, history=None, start=0):
    history = history or TrackHistory()
    for t, x in enumerate(xs):
        points = np.full((3, 2), float(x))
        spread = np.full((3, 2), 0.0 if std is None else std[t])
        person = dict(keypoints=points, keypoint_scores=[1] * 3, keypoint_std=spread)
        history.add(start + t, [dict(person, track_id=track, bbox=[[x, x, x + 9, x + 20]])])
    return history


def test_moments_gather_where_there_is_movement():
    moments = list(history_of([0] * 50 + list(range(0, 100, 10)) + [100] * 40).key_moments(8))
    assert len(moments) <= 8 and moments[-1] == 99
    assert sum(49 <= m <= 62 for m in moments) >= 4


def test_a_still_scene_is_sampled_evenly():
    moments = list(history_of([5] * 40).key_moments(5))
    assert len(moments) == 5
    assert max(np.diff(moments)) - min(np.diff(moments)) <= 2


def test_the_least_certain_frame_is_always_among_them():
    std = [0.1] * 30
    std[17] = 9
    moments = history_of(range(30), std=std).key_moments(4)
    assert len(moments) <= 4 and moments[17] == 'least certain'
    assert {0, 29} <= set(moments)


@pytest.mark.parametrize('length', [0, 1, 2, 5, 6])
def test_short_videos_are_shown_whole(length):
    """Broken if a jump in one frame takes the place of another."""
    moments = history_of([0, 1, 1, 90, 91, 91][:length]).key_moments(6)
    assert list(moments) == list(range(max(length, 1)))


def test_one_jump_leaves_room_for_the_rest():
    moments = list(history_of([0] * 30 + [500] * 31).key_moments(7))
    assert len(moments) == 7 and {0, 30, 60} <= set(moments)
    assert max(np.diff(moments)) <= 20


def test_the_sheet_looks_where_the_people_are():
    """Broken if people in a corner of a large frame are too small to be seen, or are cut off."""
    history = history_of([600, 610])
    frame = np.zeros((720, 1280, 3), np.uint8)
    frame[600:640, 600:619] = 255
    extent = history.extent([0, 1, 7])
    assert extent.tolist() == [600, 600, 619, 630]
    part = crop_to(frame, extent)
    assert part.shape[0] < 60 and abs(part.shape[1] / part.shape[0] - 16 / 9) < 0.1
    assert (crop_to(frame, extent)[..., 0] > 0).sum() >= 19 * 30
    # Across the border, as large as the frame, nobody.
    assert crop_to(frame, np.array([-50, 700, 40, 800])).shape[0] > 20
    assert crop_to(frame, np.array([0, 0, 1280, 700])) is frame
    assert crop_to(frame, np.array([-9, -9, -1, -1])) is frame
    assert crop_to(frame, history.extent([5])) is frame


def test_the_longest_tracks_come_first():
    history = history_of(range(5), track=1)
    history_of(range(8), track=2, history=history, start=5)
    (first, second) = history.longest(2)
    assert first[0] == 2 and second[0] == 1
    assert first[1].tolist() == list(range(5, 13)) and first[2].shape == (8, 3, 2)
    assert first[4].shape == (8, 3)


def test_pictures_are_written(tmp_path):
    frames = [np.full((60, 80, 3), 40 * i, np.uint8) for i in range(5)]
    path = str(tmp_path / 'sheet.png')
    contact_sheet(path, frames, [f'frame {i}' for i in range(5)], width=330)
    sheet = cv2.imread(path)
    assert sheet.shape[1] <= 330 and sheet.shape[0] > 2 * 75
    # The last frame is the second of the second row of three.
    assert sheet[sheet.shape[0] * 3 // 4, sheet.shape[1] // 2].tolist() == [160] * 3
    history = history_of([0, 5, 9, 30], std=[1, 2, 3, 4])
    history_of([4], history=history, start=8)
    path = str(tmp_path / 'plot.png')
    trajectories(path, history.longest(3), NAMES, fps=10)
    assert cv2.imread(path).std() > 5


def test_nothing_to_show_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='0 frames and 0 titles'):
        contact_sheet(str(tmp_path / 'a.png'), [], [])
    with pytest.raises(ValueError, match='nobody'):
        trajectories(str(tmp_path / 'a.png'), [], NAMES, 10)
    with pytest.raises(OSError, match='cannot write'):
        contact_sheet(str(tmp_path / 'no' / 'a.png'), [np.zeros((4, 4, 3), np.uint8)], ['a'])
