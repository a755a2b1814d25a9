"""Files: which of a folder's are data, and JSON in any of Unicode's encodings."""

import json

import pytest

from diffpose_mm.files import data_files, read_json


@pytest.mark.parametrize(
    'encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32']
)
def test_json_is_read_in_the_encodings_that_editors_write(tmp_path, encoding):
    content = dict(name='Läufer', boxes=[[1, 2.5, 3, 4]])
    file = tmp_path / 'a.json'
    file.write_text(json.dumps(content, ensure_ascii=False), encoding)
    assert read_json(file) == content


@pytest.mark.parametrize('data', [b'', b'{"a": ', b'\xff\xd8\xff\xe0', b'[' * 100_000])
def test_what_is_no_json_is_a_value_error(tmp_path, data):
    """Broken if a cut file, a picture or nested brackets end a program with another error."""
    (tmp_path / 'a.json').write_bytes(data)
    with pytest.raises(ValueError):
        read_json(tmp_path / 'a.json')


def test_data_files_are_the_users(tmp_path):
    for name in ('b.JSON', 'a.json', '._a.json', '.DS_Store', 'Thumbs.db', 'desktop.ini', 'c.txt'):
        (tmp_path / name).touch()
    (tmp_path / '__MACOSX').mkdir()
    assert data_files(tmp_path, ('.json',)) == ['a.json', 'b.JSON']
    assert data_files(tmp_path) == ['a.json', 'b.JSON', 'c.txt']
