"""The weights that come along: what they are, and what becomes of damaged ones."""

import hashlib
import shutil

import pytest
import torch
from mmengine.runner import CheckpointLoader

import diffpose_mm.shipped
from diffpose_mm.shipped import (
    DIGESTS,
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


def test_the_model_of_clips_says_what_it_is():
    """Broken if the model that inference takes by default came without config or licence."""
    tensors, metadata = read_shipped('diffpose-real')
    assert metadata['config'] == 'diffpose_real.py' and metadata['licence'] == 'Apache-2.0'
    assert '/work' not in metadata['cfg'] and '/home' not in metadata['cfg']
    readme = (FOLDER / 'README.md').read_text()
    assert DIGESTS['diffpose-real'] in readme
    # The backbone is MoveNet's as it was published: NOTICE speaks of it too.
    published = read_shipped('movenet-thunder')[0]
    same = [key for key in tensors if key in published]
    assert len(same) > 100
    for key in same:
        assert torch.equal(tensors[key], published[key]), key
    assert 'diffpose-real.safetensors' in (FOLDER / 'NOTICE').read_text()
    checkpoint = CheckpointLoader.load_checkpoint('shipped://diffpose-real', 'cpu', 'silent')
    assert checkpoint['meta']['dataset_meta']['dataset_name'] == 'coco'


def test_they_are_small_enough_to_ship():
    """Broken if a file grew beyond what the repository is meant to carry."""
    assert shipped_path('movenet-thunder').stat().st_size < 13e6
    assert shipped_path('movenet-multipose').stat().st_size < 15e6
    assert shipped_path('diffpose-real').stat().st_size < 25e6


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
    for name, digest in DIGESTS.items():
        assert hashlib.sha256(shipped_path(name).read_bytes()).hexdigest() == digest
