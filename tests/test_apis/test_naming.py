"""Each output has a name of its own, and none is an input."""

import os

import pytest

from diffpose_mm.apis.naming import check_outputs, folder_of, is_file_name, unique_stems


@pytest.mark.parametrize(
    'names, stems',
    [
        (['a/1.jpg', 'a/2.jpg'], ['1', '2']),
        (['shot.jpg', 'shot.png', 'x.jpg'], ['shot.jpg', 'shot.png', 'x']),
        (['x/0001.jpg', 'y/0001.jpg'], ['x_0001.jpg', 'y_0001.jpg']),
        (['a/x/1.jpg', 'b/x/1.jpg', 'b/x/2.jpg'], ['a_x_1.jpg', 'b_x_1.jpg', '2']),
        (['a/1.jpg', 'a/1.jpg'], ['000000_a_1.jpg', '000001_a_1.jpg']),
        (['Shot.jpg', 'shot.png'], ['Shot.jpg', 'shot.png']),
        (['Shot.jpg', 'shot.jpg'], ['000000_Shot.jpg', '000001_shot.jpg']),
        (['x/1.jpg', 'y/1.jpg', 'x_1.jpg.jpg'], ['000000_x_1.jpg', 'y_1.jpg', '000002_x_1.jpg']),
        (['000000.jpg', '000001.jpg'], ['000000', '000001']),
        (['http://h/a.jpg', 'http://g/a.jpg'], ['h_a.jpg', 'g_a.jpg']),
        ([], []),
    ],
)
def test_pictures_that_share_a_name_get_more_of_their_path(names, stems):
    """Broken if the predictions of one picture are written over those of another."""
    found = unique_stems(names)
    assert len({stem.casefold() for stem in found}) == len(names)
    assert found == stems


def test_an_output_is_never_an_input_under_any_name(tmp_path, monkeypatch):
    """Broken if the user's only copy is written over."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'walk.mp4').write_text('x')
    os.symlink('walk.mp4', 'link.mp4')
    os.link('walk.mp4', 'hard.mp4')
    (tmp_path / 'sub').mkdir()
    os.symlink(tmp_path, 'sub/here')
    for output in ('walk.mp4', './walk.mp4', 'sub/../walk.mp4', 'link.mp4', 'hard.mp4',
                   'sub/here/walk.mp4', str(tmp_path / 'walk.mp4')):  # fmt: skip
        with pytest.raises(ValueError, match=r'would be written over the input walk.mp4'):
            check_outputs([output], ['walk.mp4'])
    with pytest.raises(ValueError, match=r'would be written over the input link.mp4'):
        check_outputs(['walk.mp4'], ['link.mp4'])
    check_outputs(['out/walk.mp4', 'walk.json'], ['walk.mp4', 'gone.mp4'])


def test_a_folder_with_a_dot_is_a_folder(tmp_path):
    (tmp_path / 'run.2').mkdir()
    assert folder_of(str(tmp_path / 'run.2')) == str(tmp_path / 'run.2')
    assert folder_of(str(tmp_path / 'new.mp4')) == str(tmp_path)
    assert folder_of('a.mp4') == '.' and folder_of('') == ''
    assert not is_file_name('new.2/')
