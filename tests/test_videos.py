"""Names of frames and videos."""

import pytest

from diffpose_mm.videos import split_frame_name, video_names, video_of, videos_of


@pytest.mark.parametrize(
    'path, parts',
    [
        ('a/b_1/000012.jpg', ('a/b_1/', 12, 6, '.jpg')),
        ('00000001.png', ('', 1, 8, '.png')),
        ('v/frame_7.jpeg', ('v/frame_', 7, 1, '.jpeg')),
        ('v2/x1y0099', ('v2/x1y', 99, 4, '')),
    ],
)
def test_frame_names_are_taken_apart(path, parts):
    assert split_frame_name(path) == parts
    head, number, digits, extension = parts
    assert f'{head}{number:0{digits}d}{extension}' == path


def test_a_video_is_its_whole_folder():
    """Broken if SEQ1/img1 and SEQ2/img1 (MOT17, MOT20, DanceTrack) are one video."""
    paths = ['a/SEQ1/img1/000001.jpg', 'a/SEQ2/img1/000001.jpg', 'a\\SEQ2\\img1\\000002.jpg']
    assert [video_of(path) for path in paths] == ['a/SEQ1/img1', 'a/SEQ2/img1', 'a/SEQ2/img1']
    assert videos_of(paths) == ['a/SEQ1/img1', 'a/SEQ2/img1', 'a/SEQ2/img1']
    assert video_of('000001.jpg') == ''


def test_videos_of_one_folder_are_told_apart_by_the_beginning_of_their_names():
    """Broken if exports of annotation tools (walk_0001.jpg, run_0001.jpg) are one video."""
    paths = ['f/walk_0001.jpg', 'f/run.0001.jpg', 'f/walk_0002.jpg', 'g/walk_0001.jpg']
    assert videos_of(paths) == ['f/walk', 'f/run', 'f/walk', 'g']
    # A name without a number does not make a second video of its folder's frames.
    assert videos_of(['f/0001.jpg', 'f/0002_crop.jpg']) == ['f', 'f']


@pytest.mark.parametrize(
    'names',
    [
        {'images/val/000342_mpii_test': '000342_mpii_test'},
        {'val/a': 'a', 'val/b.v2': 'b.v2'},
        {'train/SEQ1/img1': 'SEQ1', 'train/SEQ2/img1': 'SEQ2'},
        {'train/SEQ1/img1': 'SEQ1'},
        {'d/1/frames': '1', 'd/2/frames': '2'},
        {'s1/cam1': 's1__cam1', 's1/cam2': 's1__cam2', 's2/cam1': 's2__cam1'},
        {'img1': 'img1', 'SEQ2/img1': 'SEQ2'},
        {'': ''},
        {},
    ],
)
def test_names_of_videos_are_short_and_tell_them_apart(names):
    """Broken if two videos write one file of a submission."""
    assert video_names(names) == names
    assert len(set(names.values())) == len(names)
