import numpy as np
import pytest
from interchange_cases import TIMES, two_people

from diffpose_mm.interchange import TableBuilder, write_formats
from diffpose_mm.interchange.formats import POSE_FORMATS
from diffpose_mm.interchange.nwb import START, frame_times

# The files themselves are read by pynwb and movement in projects/interchange.


def frames(numbers, times, fps=None):
    builder = TableBuilder(['nose'])
    for number, time in zip(numbers, times):
        builder.add_frame(number, time)
    return builder.table(fps=fps)


def test_times_are_those_of_the_video():
    """Broken if a pause or a late start were lost on the way."""
    np.testing.assert_array_equal(frame_times(two_people()), TIMES)


@pytest.mark.parametrize(
    'numbers, times, fps, expected',
    [
        # Row 1 is not in the table: between its neighbours; 0 is before: at the rate.
        ([1, 3, 4], [2.0, 3.0, 3.5], 10.0, [1.9, 2.0, 2.5, 3.0, 3.5]),
        ([1, 3], [2.0, 3.0], None, [1.5, 2.0, 2.5, 3.0]),
        ([0, 1, 2], [1.0, 1.5, None], 10.0, [1.0, 1.5, 1.6]),
        ([0, 2], [None, None], 4.0, [0, 0.25, 0.5]),
    ],
)
def test_every_row_has_a_time(numbers, times, fps, expected):
    """Broken if rows that nobody timed made stamps that do not rise, or closed a gap."""
    np.testing.assert_allclose(frame_times(frames(numbers, times, fps)), expected)


def test_without_times_a_rate_is_asked_for(tmp_path, monkeypatch):
    """Broken if a made-up rate went into a format that is about times."""
    monkeypatch.setattr('diffpose_mm.interchange.formats.check_installed', lambda *what: None)
    with pytest.raises(ValueError, match='format nwb needs times.*--fps'):
        write_formats(frames([0, 1], [None, None]), ['nwb'], tmp_path, 'walk')
    assert not list(tmp_path.iterdir())


def test_what_is_made_up_is_said():
    """Broken if somebody published the first of January 1970."""
    assert f'{START:%Y-%m-%d}' in POSE_FORMATS['nwb'].made_up
