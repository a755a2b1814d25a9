"""Windows over frames: what a keyframe sees, offline and causal."""

import numpy as np
import pytest

from diffpose_mm.apis.windows import FrameWindows, as_frame, iterate_windows, still_window

OFFSETS = (-2, -1, 0, 1, 2)


def ids(count, offsets=OFFSETS, mode='offline'):
    return [w.frame_ids for w in iterate_windows([str(i) for i in range(count)], offsets, mode)]


def test_offline_windows_are_symmetric_and_clamped_at_both_ends():
    expected = [tuple(min(max(t + o, 0), 6) for o in OFFSETS) for t in range(7)]
    assert ids(7) == expected


@pytest.mark.parametrize('offsets', [(0,), (-3, 0, 1), (-4, -2, 0, 2, 4), (0, 5)])
@pytest.mark.parametrize('count', [1, 2, 9])
def test_other_offsets_are_clamped_alike(offsets, count):
    expected = [tuple(min(max(t + o, 0), count - 1) for o in offsets) for t in range(count)]
    assert ids(count, offsets) == expected


def test_causal_windows_never_see_the_future_and_do_not_wait():
    windows = FrameWindows(OFFSETS, 'causal')
    for t in range(6):
        (window,) = windows.push(as_frame(str(t), t))
        assert window.frame_id == t and window.frame.image == str(t)
        assert window.frame_ids == tuple(min(max(t + o, 0), t) for o in OFFSETS)
        assert window.replicated[3:] == (True, True)
    assert windows.flush() == []


def test_offline_waits_for_exactly_the_frames_it_needs():
    windows = FrameWindows(OFFSETS)
    assert [len(windows.push(as_frame(str(t), t))) for t in range(5)] == [0, 0, 1, 1, 1]
    assert [w.frame_id for w in windows.flush()] == [3, 4]
    assert windows.flush() == []


def test_memory_is_bounded_by_the_span():
    windows = FrameWindows((-3, 0, 2))
    for t in range(100):
        windows.push(as_frame(str(t), t))
    assert len(windows._buffer) <= 6


def test_a_neighbour_of_another_size_is_replaced_by_the_nearest_that_fits():
    frames = [np.zeros((4 if t < 3 else 6, 5, 3), np.uint8) for t in range(6)]
    windows = list(iterate_windows(frames, OFFSETS))
    assert windows[2].frame_ids == (0, 1, 2, 2, 2)
    assert windows[2].replicated == (False, False, False, True, True)
    assert windows[3].frame_ids == (3, 3, 3, 4, 5)


def test_a_still_is_repeated_and_says_so():
    window = still_window('a.jpg', OFFSETS)
    assert [frame.image for frame in window.frames] == ['a.jpg'] * 5
    assert window.replicated == (True, True, False, True, True)
    assert window.results()['clip_paths'] == ['a.jpg'] * 5


def test_unknown_mode_and_offsets_without_keyframe_are_errors():
    with pytest.raises(ValueError, match="mode='live'.*offline.*causal"):
        FrameWindows(OFFSETS, 'live')
    with pytest.raises(ValueError, match='leaves the keyframe outside'):
        FrameWindows((-1, 1))
