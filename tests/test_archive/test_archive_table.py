"""The table as others read it, and the JSON beside it."""

import json

import pytest
from archive_cases import pictures, run_archive, write_mp4

from diffpose_mm.archive.manifest import read_entries
from diffpose_mm.archive.output import Output
from diffpose_mm.archive.requirements import needed
from diffpose_mm.archive.table import read_shared


@pytest.fixture(scope='module')
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp('archive')
    for name, count in dict(a=30, b=11).items():
        write_mp4(folder / f'{name}.mp4', pictures(count, seed=ord(name)))
    (folder / 'all.csv').write_text('path,camera\na.mp4,left\nb.mp4,\n')
    entries = read_entries([str(folder / 'all.csv')])
    run_archive(entries, folder / 'out', stretch=12, with_json=True)
    return folder / 'out', entries


def test_rows_are_what_the_json_has(archive):
    """Broken if table and JSON of a video were not of the same poses."""
    import pandas

    out, entries = archive
    for entry in entries:
        frame = pandas.read_parquet(Output(str(out)).parquet(entry.key), partitioning=None)
        frames = json.loads((out / 'json' / f'{entry.key}.json').read_text())
        people = [(f, person) for f in frames for person in f['instances']]
        assert len(frame) == len(people) > 10
        for (_, row), (told, person) in zip(frame.iterrows(), people):
            assert (row.frame_id, row.time) == (told['frame_id'], told['time'])
            assert row.track_id == person['track_id'] and row.path == entry.name
            assert [*map(list, zip(row.x.tolist(), row.y.tolist()))] == person['keypoints']
            assert [*map(list, zip(row.std_x.tolist(), row.std_y.tolist()))] == (
                person['keypoint_std']
            )
            assert row.score.tolist() == person['keypoint_scores']
        shared = read_shared(Output(str(out)).parquet(entry.key))
        assert shared['keypoints'] == ['head', 'hand', 'foot'] == frames[0]['meta']['keypoints']
        assert frames[0]['run']['input']['digest'] == shared['content']['digest']


def test_the_folder_is_one_partitioned_table(archive):
    """Broken if readers of data sets did not find the videos by their partition."""
    import pandas

    out, entries = archive
    whole = pandas.read_parquet(out / 'poses')
    assert sorted(whole.video.unique()) == sorted(entry.key for entry in entries)
    one = pandas.read_parquet(out / 'poses', filters=[('video', '==', entries[0].key)])
    assert set(one.camera) == {'left'} and 0 < len(one) < len(whole)


def test_pandas_polars_and_duckdb_read_the_same_rows(archive):
    """Broken if the data set were only read by the library that wrote it."""
    import readers

    out, entries = archive
    people = 0
    for entry in entries:
        frames = json.loads((out / f'json/{entry.key}.json').read_text())
        people += sum(len(frame['instances']) for frame in frames)
    assert readers.main([str(out / 'poses')]) == people > 0


def test_a_file_that_was_changed_is_posed_again(archive, tmp_path):
    """Broken if a name alone decided that a video is done."""
    write_mp4(tmp_path / 'a.mp4', pictures(9))
    entries = read_entries([str(tmp_path / 'a.mp4')])
    assert run_archive(entries, tmp_path / 'out').frames == 9
    assert run_archive(entries, tmp_path / 'out').before == 1
    write_mp4(tmp_path / 'a.mp4', pictures(8))
    assert run_archive(entries, tmp_path / 'out').frames == 8


def test_a_library_that_is_missing_is_named_with_what_to_install(monkeypatch):
    """Broken if somebody without the extra met a traceback."""
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"needs pyarrow.*pip install 'diffpose_mm\[arch"):
        needed('pyarrow.parquet')
