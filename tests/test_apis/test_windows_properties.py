"""FrameWindows on random videos and offsets, against the definition of a window."""

import numpy as np
from hypothesis import strategies as st
from property_cases import cases

from diffpose_mm.apis.windows import FrameWindows, as_frame, iterate_windows

OFFSETS = st.lists(st.integers(-6, 6).filter(bool), max_size=6, unique=True).map(lambda o: [*o, 0])


def nearest(wanted, keyframe, usable):
    """Of the frames there are, the nearest in time; of two, the one nearer to the keyframe."""
    return sorted(usable, key=lambda i: (abs(i - wanted), abs(i - keyframe)))[0]


@cases(st.integers(0, 25), OFFSETS, st.sampled_from(['offline', 'causal']))
def test_windows_are_the_definition(length, offsets, mode):
    """Every frame is a keyframe once and in order; what stands in is the nearest, and marked."""
    windows = list(iterate_windows((f'{i}' for i in range(length)), offsets, mode))
    assert [w.frame_id for w in windows] == list(range(length))
    for keyframe, window in enumerate(windows):
        usable = range(length if mode == 'offline' else keyframe + 1)
        # A causal window holds no more than its span, an offline one sees what its span reaches.
        reach = [i for i in usable if min(offsets) <= i - keyframe <= max([*offsets, 0])]
        wanted = [keyframe + offset for offset in sorted(offsets)]
        used = [nearest(w, keyframe, reach) for w in wanted]
        assert list(window.frame_ids) == used
        assert [frame.image for frame in window.frames] == [f'{i}' for i in used]
        assert list(window.replicated) == [u != w for u, w in zip(used, wanted)]
        assert window.frame.image == f'{keyframe}'
        results = window.results()
        assert results['clip_paths'] == [frame.image for frame in window.frames]
        assert [keyframe + o for o in results['frame_offsets']] == used


@cases(st.integers(0, 25), OFFSETS, st.sampled_from(['offline', 'causal']))
def test_a_window_comes_as_soon_as_it_can(length, offsets, mode):
    """Broken if a camera's picture waits longer than its future frames, or frames pile up."""
    windows = FrameWindows(offsets, mode)
    ahead = max(offsets) if mode == 'offline' else 0
    for number in range(length):
        given = [w.frame_id for w in windows.push(as_frame(str(number), number))]
        assert given == ([number - ahead] if number >= ahead else [])
        assert len(windows._buffer) <= ahead - min(offsets) + 1
    assert [w.frame_id for w in windows.flush()] == list(range(max(length - ahead, 0), length))
    assert windows.flush() == []


@cases(st.lists(st.sampled_from([(4, 6), (5, 6)]), max_size=12), OFFSETS)
def test_frames_of_a_window_are_of_one_size(sizes, offsets):
    """A stream that changes its size would otherwise be stacked with what went before."""
    frames = [np.full((h, w, 3), i, np.uint8) for i, (h, w) in enumerate(sizes)]
    for keyframe, window in enumerate(iterate_windows(iter(frames), offsets)):
        reach = range(max(keyframe + min(offsets), 0), keyframe + max(offsets) + 1)
        usable = [i for i in reach if i < len(sizes) and sizes[i] == sizes[keyframe]]
        wanted = [keyframe + offset for offset in sorted(offsets)]
        assert list(window.frame_ids) == [nearest(w, keyframe, usable) for w in wanted]
        assert {frame.shape for frame in window.frames} == {window.frame.shape}
        assert [frame.image.flat[0] for frame in window.frames] == list(window.frame_ids)
