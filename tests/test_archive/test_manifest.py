"""What a user may name: folders, lists, manifests; and what is refused, with its line."""

import csv
import math

import pytest

from diffpose_mm.archive.manifest import read_entries


@pytest.fixture
def folder(tmp_path):
    for name in ('b.mp4', 'a.MOV', 'day/2.mkv', 'day/notes.txt', 'day/.hidden.mp4'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'')
    return tmp_path


def manifest(folder, *rows, columns=('path', 'start', 'end', 'options')):
    path = folder / 'all.csv'
    with open(path, 'w', newline='') as file:
        csv.writer(file).writerows([columns, *rows])
    return str(path)


def test_a_folder_gives_its_videos_and_those_below(folder):
    """Broken if videos in folders were left out, or hidden and other files taken."""
    assert [e.name for e in read_entries([str(folder)])] == ['a.MOV', 'b.mp4', 'day/2.mkv']
    chosen = read_entries([str(folder)], ['day/*', 'b.*'])
    assert [e.name for e in chosen] == ['b.mp4', 'day/2.mkv', 'day/notes.txt']


def test_keys_tell_videos_of_one_name_apart(folder):
    """Broken if a part of a video, or one of another folder, were taken for the video itself."""
    path = manifest(
        folder, ('b.mp4', '', '', ''), ('b.mp4', '1', '', ''), ('day/b.mp4', '', '', '')
    )
    keys = [entry.key for entry in read_entries([path])]
    assert len(set(keys)) == 3 and all(key.startswith('b-') for key in keys)
    assert keys == [entry.key for entry in read_entries([path])]


def test_a_manifest_is_read_from_csv_and_parquet(folder):
    """Broken if a column were lost, or paths were not those beside the manifest."""
    import pyarrow
    import pyarrow.parquet

    row = ('b.mp4', 'day/boxes.json', 'left', '0.5', '', '{"mode": "causal"}')
    columns = ('path', 'boxes', 'camera', 'start', 'end', 'options')
    (entry,) = read_entries([manifest(folder, row, columns=columns)])
    assert entry.path == str(folder / 'b.mp4') and entry.boxes == str(folder / 'day/boxes.json')
    assert (entry.camera, entry.start, entry.end) == ('left', 0.5, math.inf)
    assert entry.options == dict(mode='causal')
    values = dict(zip(columns, row), start=0.5, end=None)
    table = pyarrow.Table.from_pylist([values])
    pyarrow.parquet.write_table(table, folder / 'all.parquet')
    assert read_entries([str(folder / 'all.parquet')]) == [entry]


@pytest.mark.parametrize(
    'row, message',
    [
        (('', '', '', ''), r'line 2: path is empty'),
        (('b.mp4', 'soon', '', ''), r"line 2: start='soon' has to be seconds"),
        (('b.mp4', '-1', '', ''), r"line 2: start='-1' has to be seconds"),
        (('b.mp4', '3', '2', ''), r'line 2: start=3.0 is not before end=2.0'),
        (('b.mp4', '', '', 'causal'), r'line 2: options=.causal. has to be a JSON object'),
        (('b.mp4', '', '', '{"speed": 1}'), r"line 2: option 'speed' has to be one of mode"),
        (('b.mp4', '', '', '{"max_people": "two"}'), r"option max_people='two' is of the wrong"),
        (('b.mp4', '', '', '{"sampling_steps": true}'), r'sampling_steps=True is of the wrong'),
        (('b.mp4', '', '', '', 'more'), r'line 2 has more cells'),
    ],
)
def test_what_is_wrong_in_a_manifest_is_named(folder, row, message):
    """Broken if a slip in a line of thousands ended in a wrong run, or without its place."""
    with pytest.raises(ValueError, match=message):
        read_entries([manifest(folder, row)])


def test_inputs_that_cannot_be_used_are_refused(folder):
    """Broken if a typo gave an empty archive, or a video were posed twice."""
    with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
        read_entries([str(folder / 'nowhere')])
    with pytest.raises(ValueError, match='no video in it'):
        read_entries([str(folder)], ['*.webm'])
    with pytest.raises(ValueError, match='s3://bucket/x.mp4 is an address'):
        read_entries(['s3://bucket/x.mp4'])
    with pytest.raises(ValueError, match='line 2: s3://bucket/x.mp4 is an address: mount'):
        read_entries([manifest(folder, ('s3://bucket/x.mp4', '', '', ''))])
    with pytest.raises(ValueError, match='line 2: gs://b/boxes.json is an address: mount'):
        read_entries([manifest(folder, ('b.mp4', 'gs://b/boxes.json'), columns=('path', 'boxes'))])
    with pytest.raises(ValueError, match='has the column fps'):
        read_entries([manifest(folder, ('b.mp4', 3), columns=('path', 'fps'))])
    with pytest.raises(ValueError, match='both called b.mp4'):
        read_entries([str(folder / 'b.mp4'), str(folder / 'b.mp4')])
