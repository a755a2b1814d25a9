"""The weights that come along: what they are, and what becomes of damaged ones."""

import hashlib
import shutil

import pytest
import torch
from mmengine.runner import CheckpointLoader

import diffpose_mm.shipped
from diffpose_mm.shipped import (
    FOLDER,
    PUBLISHED,
    ShippedWeightsError,
    read_shipped,
    shipped_path,
)


@pytest.mark.parametrize('name', PUBLISHED)
def test_they_are_there_with_licence_and_provenance(name):
    """Broken if weights were shipped without saying where they are from."""
    tensors, metadata = read_shipped(name)
    assert all(value.dtype == torch.float32 for value in tensors.values())
    assert metadata['model'] == name and metadata['verified'] == 'yes'
    assert metadata['source'].startswith('https://tfhub.dev/google/')
    assert 'Apache-2.0' in metadata['licence'] and 'MIT' in metadata['licence']
    assert metadata['source_weights_sha256'] == PUBLISHED[name].weights_sha256
    notice, readme = ((FOLDER / file).read_text() for file in ('NOTICE', 'README.md'))
    assert metadata['source'] in notice
    assert PUBLISHED[name].sha256 in readme
    assert 'Vladimir Mandic' in (FOLDER / 'LICENSE').read_text()


def test_they_are_small_enough_to_ship():
    """Broken if a file grew beyond what the repository is meant to carry."""
    assert shipped_path('movenet-thunder').stat().st_size < 13e6
    assert shipped_path('movenet-multipose').stat().st_size < 15e6


def test_mmengine_loads_them_by_name():
    """Broken if init_cfg, load_from or --checkpoint did not know the names."""
    checkpoint = CheckpointLoader.load_checkpoint('shipped://movenet-thunder', 'cpu', 'silent')
    assert 'backbone.stem.weight' in checkpoint['state_dict']


def test_unknown_names():
    """Broken if a slip in a name did not say which there are."""
    with pytest.raises(ShippedWeightsError, match='no weights of that name come along; there are'):
        read_shipped('shipped://movenet-lightning')


@pytest.mark.parametrize('damage', ['cut', 'changed', 'another', 'missing'])
def test_damaged_files_are_refused(tmp_path, monkeypatch, damage):
    """Broken if a file of the right name and other content were taken for the shipped one."""
    path = tmp_path / 'movenet-multipose.safetensors'
    if damage == 'another':
        shutil.copy(shipped_path('movenet-thunder'), path)
    elif damage != 'missing':
        data = bytearray(shipped_path('movenet-multipose').read_bytes())
        data[-1] ^= 1
        path.write_bytes(data[:-1000] if damage == 'cut' else data)
    monkeypatch.setattr(diffpose_mm.shipped, 'FOLDER', tmp_path)
    with pytest.raises(ShippedWeightsError, match=r'multipose\.safetensors: .*install the package'):
        read_shipped('movenet-multipose')


def test_hashes_are_of_whole_files():
    """Broken if the recorded hashes were of something else than the files."""
    for name, known in PUBLISHED.items():
        assert hashlib.sha256(shipped_path(name).read_bytes()).hexdigest() == known.sha256
