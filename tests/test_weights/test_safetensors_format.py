"""Our reader and writer of safetensors, against the library."""

import json
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from diffpose_mm.weights import WeightsError, read_safetensors, write_safetensors
from diffpose_mm.weights.safetensors_format import DTYPES, metadata_of


def tensors():
    values = {
        f't{i}': (torch.arange(6).reshape(2, 3) % 2).to(dtype)
        for i, dtype in enumerate(DTYPES.values())
    }
    return values | {
        'scalar': torch.tensor(3.5),
        'none': torch.zeros(0, 4),
        'turned': torch.arange(6.0).reshape(2, 3).T,
        'name with "quotes" und Umlaut ä': torch.ones(1),
    }


def same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.dtype == other[name].dtype and value.shape == other[name].shape
        assert torch.equal(value, other[name]), name


def test_what_we_write_the_library_reads(tmp_path):
    """Broken if a file of ours were none for other programs."""
    path = tmp_path / 'ours.safetensors'
    with open(path, 'wb') as file:
        write_safetensors(file, tensors(), {'licence': 'Apache-2.0'})
    same(load_file(path), tensors())
    with safe_open(path, 'pt') as opened:
        assert opened.metadata() == {'licence': 'Apache-2.0'}
    assert metadata_of(path) == {'licence': 'Apache-2.0'}


def test_what_the_library_writes_we_read(tmp_path):
    """Broken if a file from the hub were read otherwise than the library reads it."""
    path = tmp_path / 'theirs.safetensors'
    values = {name: value.contiguous() for name, value in tensors().items()}
    save_file(values, path, {'format': 'pt'})
    read, metadata = read_safetensors(path)
    same(read, values)
    assert metadata == {'format': 'pt'}


def test_shared_memory_is_written_twice(tmp_path):
    """Broken if tied weights were refused, as the library does, or lost."""
    value = torch.ones(3)
    with open(tmp_path / 'x', 'wb') as file:
        write_safetensors(file, {'a': value, 'b': value})
    assert read_safetensors(tmp_path / 'x')[0].keys() == {'a', 'b'}


@pytest.mark.parametrize('cut', [3, 20, -1, -50])
def test_a_cut_file_is_named(cut, tmp_path):
    """Broken if a cut download were loaded, or were a riddle."""
    path = tmp_path / 'model.safetensors'
    save_file({'a': torch.ones(50)}, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(WeightsError, match=r'model\.safetensors is (cut short|damaged)'):
        read_safetensors(path)


@pytest.mark.parametrize(
    'entry',
    [
        dict(dtype='F32', shape=[3], data_offsets=[0, 8]),
        dict(dtype='F32', shape=[-2], data_offsets=[0, 8]),
        dict(dtype='F32', shape=[2], data_offsets=[-8, 0]),
        dict(dtype='F99', shape=[2], data_offsets=[0, 8]),
        dict(dtype='F32'),
        'text',
    ],
)
def test_a_header_that_lies_is_refused(entry, tmp_path):
    """Broken if sizes that do not agree were read as weights."""
    text = json.dumps({'a': entry}).encode()
    (tmp_path / 'x').write_bytes(struct.pack('<Q', len(text)) + text + b'\0' * 8)
    with pytest.raises(WeightsError, match='is damaged'):
        read_safetensors(tmp_path / 'x')


def test_what_follows_is_refused(tmp_path):
    """Broken if two files written over each other passed for one."""
    save_file({'a': torch.ones(2)}, tmp_path / 'x')
    with open(tmp_path / 'x', 'ab') as file:
        file.write(b'more')
    with pytest.raises(WeightsError, match='4 bytes follow'):
        read_safetensors(tmp_path / 'x')


def test_what_the_format_has_not_is_refused(tmp_path):
    """Broken if a complex or sparse tensor were written as something else."""
    for value in (torch.zeros(2, dtype=torch.complex64), torch.eye(2).to_sparse(), 3):
        with open(tmp_path / 'x', 'wb') as file, pytest.raises(WeightsError, match='cannot hold'):
            write_safetensors(file, {'a': value})


@pytest.mark.parametrize('second', [(4, 12), (12, 20)], ids=['overlap', 'hole'])
def test_tensors_that_do_not_follow_each_other_are_refused(second, tmp_path):
    """As the library does: what stands in a hole, or is read twice, is not what was written."""
    entries = {
        name: dict(dtype='F32', shape=[2], data_offsets=offsets)
        for name, offsets in (('a', (0, 8)), ('b', second))
    }
    header = json.dumps(entries).encode()
    path = tmp_path / 'x.safetensors'
    path.write_bytes(struct.pack('<Q', len(header)) + header + bytes(second[1]))
    with pytest.raises(Exception, match='offset'):
        load_file(path)
    with pytest.raises(WeightsError, match='b begins at'):
        read_safetensors(path)
