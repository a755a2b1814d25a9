import csv

import numpy as np
import pandas
import pytest
from interchange_cases import assert_same, two_people

from diffpose_mm.apis import csv_sink
from diffpose_mm.interchange.long_table import COLUMNS, read_long, write_long_csv, write_parquet


def check(frame, table):
    """A data frame of the columns holds the table."""
    assert len(frame) == len(table) * 17
    names = list(table.keypoints)
    for row in frame.sample(60, random_state=1).itertuples():
        pose = np.flatnonzero((table.frame == row.frame_id) & (table.track == row.track_id))[0]
        joint = names.index(row.keypoint)
        expected = *table.points[pose, joint], table.scores[pose, joint]
        np.testing.assert_allclose([row.x, row.y, row.score], expected)
        np.testing.assert_allclose([row.std_x, row.std_y], table.deviations[pose, joint])
        assert row.time == table.time_of(row.frame_id)
        assert [row.bbox_x1, row.bbox_y2] == [table.boxes[pose, 0], table.boxes[pose, 3]]


def test_csv(tmp_path):
    """Broken if a row told of another joint, person or frame than its names say."""
    write_long_csv(two_people(), tmp_path / 'walk.csv')
    check(pandas.read_csv(tmp_path / 'walk.csv'), two_people())


def test_columns_are_those_of_inference():
    """Broken if a script for the table of infer could not take that of convert."""
    assert COLUMNS[: len(csv_sink.COLUMNS)] == csv_sink.COLUMNS


def test_read_back(tmp_path):
    """Broken if a table that went through a spreadsheet lost people or times."""
    write_long_csv(two_people(), tmp_path / 'walk.csv')
    found = read_long(tmp_path / 'walk.csv')
    assert found.frames.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert_same(found, two_people(), but=('frames', 'times', 'image_size', 'fps'))
    np.testing.assert_allclose(found.times, two_people().times[:7])


def test_order_of_rows_does_not_matter(tmp_path):
    """Broken if sorting the table by joint tore people apart."""
    write_long_csv(two_people(), tmp_path / 'walk.csv')
    frame = pandas.read_csv(tmp_path / 'walk.csv')
    frame.sort_values(['keypoint', 'x']).to_csv(tmp_path / 'other.csv', index=False)
    table = read_long(tmp_path / 'other.csv', 'posetrack17')
    order = np.lexsort([table.track, table.frame])
    expected = two_people()
    own = np.lexsort([expected.track, expected.frame])
    np.testing.assert_allclose(table.points[order], expected.points[own])


def test_parquet(tmp_path):
    """Broken if the columns had no types, or a frame without people were forgotten."""
    write_parquet(two_people(), tmp_path / 'walk.parquet')
    frame = pandas.read_parquet(tmp_path / 'walk.parquet')
    check(frame, two_people())
    assert frame.dtypes['x'] == 'float64' and frame.dtypes['frame_id'] == 'int64'
    assert_same(read_long(tmp_path / 'walk.parquet'), two_people())


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda rows: [row[1:] for row in rows], 'has no column frame_id'),
        (lambda rows: [*rows[:3], rows[3][:4]], 'line 4 does not have as many cells'),
        (lambda rows: [*rows[:3], ['two', *rows[3][1:]]], "line 4: frame_id is 'two', not a"),
        (lambda rows: [*rows, rows[20]], "frame 1 has the keypoint 'head_top' twice for one"),
    ],
)
def test_bad_files_are_named(tmp_path, change, words):
    """Broken if a table of something else were read as poses."""
    path = tmp_path / 'walk.csv'
    write_long_csv(two_people(), path)
    rows = change(list(csv.reader(path.open())))
    with path.open('w', newline='') as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(ValueError, match=words) as error:
        read_long(path)
    assert str(error.value).startswith(f'{path}: ')
