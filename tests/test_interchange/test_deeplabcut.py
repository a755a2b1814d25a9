import numpy as np
import pandas
import pytest
from interchange_cases import assert_same, two_people

from diffpose_mm.interchange import deeplabcut
from diffpose_mm.interchange.deeplabcut import (
    LEVELS,
    read_deeplabcut,
    write_deeplabcut,
    write_deeplabcut_csv,
)


def check(frame, table):
    """A pandas frame with DeepLabCut's four column levels holds the table, frame by frame."""
    assert list(frame.columns.names) == list(LEVELS)
    assert frame.index.tolist() == list(range(8))
    people = frame.columns.get_level_values('individuals').unique().tolist()
    joints = frame.columns.get_level_values('bodyparts').unique().tolist()
    assert people == ['track_3', 'track_7'] and joints == list(table.keypoints)
    # Readers take columns by place: individual, joint, coordinate, the last innermost.
    values = frame.to_numpy(float, copy=True).reshape(8, 2, len(joints), 3)
    seen = 0
    for number, poses in table.by_frame():
        for pose in poses:
            person = people.index(f'track_{table.track[pose]}')
            np.testing.assert_allclose(values[number, person, :, :2], table.points[pose])
            np.testing.assert_allclose(values[number, person, :, 2], table.scores[pose])
            values[number, person] = np.nan
            seen += 1
    assert seen == len(table) and np.isnan(values).all()


def test_csv(tmp_path):
    """Broken if a gap were closed, or joints came in another order than their names."""
    write_deeplabcut_csv(two_people(), tmp_path / 'walk.csv')
    check(pandas.read_csv(tmp_path / 'walk.csv', header=[0, 1, 2, 3], index_col=0), two_people())


def test_h5(tmp_path, monkeypatch):
    """Broken if the h5 were another table than the csv, or one that pandas 2 cannot read.

    PyTables writes and reads it; here pandas' frames go past it. projects/interchange has the real
    file read by movement, by an older pandas.
    """
    asked = {}

    def to_hdf(frame, path, **how):
        asked.update(how)
        frame.to_pickle(path)

    monkeypatch.setattr(deeplabcut, 'needed', lambda *modules, **what: [pandas])
    monkeypatch.setattr(pandas.DataFrame, 'to_hdf', to_hdf)
    monkeypatch.setattr(pandas, 'read_hdf', pandas.read_pickle)
    write_deeplabcut(two_people(), tmp_path / 'walk.csv', tmp_path / 'walk.h5')
    assert asked == dict(key='df_with_missing', mode='w', format='fixed')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['walk.csv', 'walk.h5']
    check(pandas.read_hdf(tmp_path / 'walk.h5'), two_people())
    found = read_deeplabcut(tmp_path / 'walk.h5')
    np.testing.assert_allclose(found.points, read_deeplabcut(tmp_path / 'walk.csv').points)


def test_read_back(tmp_path):
    """Broken if people, frames or missing joints changed on the way."""
    write_deeplabcut_csv(two_people(), tmp_path / 'walk.csv')
    found = read_deeplabcut(tmp_path / 'walk.csv')
    order = np.lexsort([two_people().track, two_people().frame])
    expected = two_people()
    np.testing.assert_allclose(found.points, expected.points[order])
    np.testing.assert_allclose(found.scores, expected.scores[order])
    assert found.track.tolist() == expected.track[order].tolist()
    assert_same(found, expected, but=(
        'points scores track boxes box_scores deviations times image_size fps absent'.split()
    ))  # fmt: skip


SINGLE = """scorer,net,net,net,net,net,net
bodyparts,nose,nose,nose,paw,paw,paw
coords,x,y,likelihood,x,y,likelihood
0,1.5,2,0.9,3,4,0.8
2,,,,-1,-1,-1
3,1,1,0.5,,,
"""
LABELLED = """scorer,,,me,me,me,me
bodyparts,,,nose,nose,paw,paw
coords,,,x,y,x,y
labeled-data,walk,img0012.png,1,2,3,4
labeled-data,walk,img0005.png,5,6,,
"""


def test_files_of_deeplabcut_itself(tmp_path):
    """Broken if one animal, hand labels or the -1 of version 3 were read as something else."""
    (tmp_path / 'a.csv').write_text(SINGLE)
    table = read_deeplabcut(tmp_path / 'a.csv')
    assert table.frames.tolist() == [0, 2, 3] and table.frame.tolist() == [0, 3]
    assert table.keypoints == ('nose', 'paw') and table.present.tolist() == [[1, 1], [1, 0]]
    assert table.scores[0].tolist() == [0.9, 0.8]
    (tmp_path / 'b.csv').write_text(LABELLED)
    table = read_deeplabcut(tmp_path / 'b.csv')
    assert table.frames.tolist() == [5, 12]
    assert table.points[1].tolist() == [[1, 2], [3, 4]] and table.scores[1].tolist() == [1, 1]


@pytest.mark.parametrize(
    'text, words',
    [
        ('frame,x,y\n0,1,2\n', 'has no header row "coords"'),
        (SINGLE.replace('3,1,1,0.5,,,', '3,1,1'), 'line 6 has 3 cells, not 7'),
        (SINGLE.replace('1.5', 'left'), "could not convert string to float: 'left'"),
        (SINGLE.replace('\n2,', '\n0,'), 'frame 0 comes after frame 0'),
        (SINGLE.replace('\n2,', '\nlast,'), "row 'last' has no number of a frame"),
    ],
)
def test_bad_files_are_named(tmp_path, text, words):
    """Broken if a user had to guess which file, and which line of it, is wrong."""
    (tmp_path / 'a.csv').write_text(text)
    with pytest.raises(ValueError, match=words) as error:
        read_deeplabcut(tmp_path / 'a.csv')
    assert str(error.value).startswith(str(tmp_path / 'a.csv'))
