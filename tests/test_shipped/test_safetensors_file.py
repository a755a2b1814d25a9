"""The safetensors format, against the library that defines it."""

import json
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from diffpose_mm.shipped.safetensors_file import (
    parse_safetensors,
    read_safetensors,
    write_safetensors,
)

TENSORS = {
    'half': torch.arange(6, dtype=torch.float16).reshape(2, 3),
    'odd': torch.tensor([True, False, True]),
    'whole': torch.tensor(7, dtype=torch.int64),
    'none': torch.zeros(0, 4),
    'brain': torch.tensor([1.5, -2], dtype=torch.bfloat16),
    'single': torch.randn(2, 2, 2, generator=torch.Generator().manual_seed(0)).transpose(0, 2),
}
METADATA = dict(source='somewhere', licence='MIT ü')


def same(found):
    assert found.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value), name


def test_the_library_reads_what_is_written(tmp_path):
    """Broken if other programs could not open the files."""
    path = tmp_path / 'a.safetensors'
    write_safetensors(path, TENSORS, METADATA)
    same(load_file(path))
    with safe_open(path, 'pt') as file:
        assert file.metadata() == METADATA


def test_what_the_library_writes_is_read(tmp_path):
    """Broken if files of other programs could not be opened."""
    path = tmp_path / 'a.safetensors'
    save_file({name: value.contiguous() for name, value in TENSORS.items()}, path, METADATA)
    tensors, metadata = read_safetensors(path)
    same(tensors)
    assert metadata == METADATA


def test_the_same_content_gives_the_same_bytes(tmp_path):
    """Broken if a hash could not tell whether a file is the one that was shipped."""
    for name, items in (('a', TENSORS.items()), ('b', reversed(TENSORS.items()))):
        write_safetensors(tmp_path / name, dict(items), METADATA)
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()


def file_of(header, body=b''):
    text = json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + body


@pytest.mark.parametrize(
    'data, said',
    [
        (b'', 'it has 0 bytes'),
        (b'PK\x03\x04' + b'\xff' * 60, 'the length of its header is out of range'),
        (struct.pack('<Q', 400) + b'{}', 'cut short: its header is not complete'),
        (struct.pack('<Q', 4) + b'null', 'its header cannot be read'),
        (file_of({'a': dict(dtype='F32', shape=[2], data_offsets=[0, 8])}, b'1234'), 'cut short'),
        (file_of({'a': dict(dtype='F32', shape=[1], data_offsets=[0, 4])}, b'12345'), 'longer'),
        (file_of({'a': dict(dtype='F32', shape=[3], data_offsets=[0, 8])}, b'12345678'), 'header'),
        (file_of({'a': dict(dtype='F4', shape=[2], data_offsets=[0, 1])}, b'1'), 'header'),
        (file_of({'a': dict(dtype='U8', shape=[2], data_offsets=[-2, 0])}, b''), 'header'),
    ],
)
def test_files_that_are_not_whole(data, said):
    """Broken if a damaged file gave weights, or a traceback out of struct or json."""
    with pytest.raises(ValueError, match=said):
        parse_safetensors(data)
