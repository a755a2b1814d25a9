"""What a result depends on is known by content."""

import os

import numpy as np

from diffpose_mm import identity
from diffpose_mm.identity import (
    config_identity,
    differences,
    file_identity,
    files_identity,
    value_identity,
)


def test_a_file_is_its_content(tmp_path, monkeypatch):
    """Broken if a file of the same name, size or time passes for another, or a copy does not."""
    first, second = tmp_path / 'a', tmp_path / 'b'
    first.write_bytes(b'x' * 5000)
    second.write_bytes(b'x' * 4999 + b'y')
    assert file_identity(first) != file_identity(second)
    second.write_bytes(b'x' * 5000)
    os.utime(second, (1, 1))
    assert file_identity(first) == file_identity(second)


def test_a_large_file_is_read_in_places_and_its_time_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(identity, 'WHOLE_BYTES', 1 << 20)
    path = tmp_path / 'a'
    content = np.random.default_rng(0).integers(0, 256, 3 << 20, np.uint8)
    path.write_bytes(content.tobytes())
    before = file_identity(path)
    assert before['bytes'] == 3 << 20
    assert file_identity(path) == before
    os.utime(path, (1, 1))
    assert file_identity(path) != before
    for place in (0, 1 << 20, (3 << 20) - 1):
        changed = content.copy()
        changed[place] ^= 1
        path.write_bytes(changed.tobytes())
        assert file_identity(path)['digest'] != before['digest']


def test_several_files_are_their_contents_in_order(tmp_path):
    for name in 'abc':
        (tmp_path / name).write_text(name)
    a, b, c = (tmp_path / name for name in 'abc')
    assert files_identity([a, b]) != files_identity([b, a])
    assert files_identity([a, b]) != files_identity([a, c])
    assert files_identity([a, tmp_path / 'gone'])['files'] == 2


def test_a_config_is_its_values_wherever_it_lies():
    assert config_identity(dict(a=1, b=(1, 2))) == config_identity(dict(b=[1, 2], a=1))
    assert config_identity(dict(a=1, b=2), ['a']) == config_identity(dict(a=1, b=3), ['a'])
    assert config_identity(dict(a=1)) != config_identity(dict(a=2))
    assert value_identity(1) != value_identity('1')


def test_differences_name_the_field():
    before = dict(mode='offline', input=dict(bytes=1, digest='a'), steps=None)
    now = dict(mode='offline', input=dict(bytes=1, digest='b'), steps=2)
    assert differences(before, now) == [
        "input.digest: 'a' then, 'b' now",
        'steps: None then, 2 now',
    ]
