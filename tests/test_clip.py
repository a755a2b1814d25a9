"""What stands in for a frame that is not there."""

import pytest

from diffpose_mm.clip import nearest


@pytest.mark.parametrize('low, high', [(0, 0), (0, 5), (3, 9), (-4, 2)])
def test_a_range_needs_no_search_and_gives_the_same(low, high):
    """Broken if data sets, which ask with ranges, clamp where the loader takes the nearest."""
    for requested in range(low - 4, high + 5):
        for keyframe in range(low, high + 1):
            available = range(low, high + 1)
            expected = nearest(requested, list(available), keyframe)
            assert nearest(requested, available, keyframe) == expected


def test_of_two_the_one_nearer_to_the_keyframe():
    assert nearest(2, [1, 3], keyframe=5) == 3
    assert nearest(2, [1, 3], keyframe=0) == 1
    assert nearest(4, range(0, 9, 3), keyframe=0) == 3


@pytest.mark.parametrize('available', [[], range(0), range(5, 2)])
def test_nothing_is_no_answer(available):
    with pytest.raises(ValueError):
        nearest(1, available, keyframe=0)
