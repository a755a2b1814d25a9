"""Paths, folders, addresses and the second place of the zoo."""

import hashlib
import re
import urllib.error
from pathlib import Path

import pytest
import torch
import weights_cases as cases

from diffpose_mm.weights import (
    ZOO_FILES,
    UnavailableWeightsError,
    WeightsError,
    read_weights,
    sources,
)
from diffpose_mm.weights.zoo import digits_in, zoo_file


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch's folder of downloads, empty."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'torch'))
    return tmp_path / 'torch' / 'checkpoints'


def model(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(cases.vitae(), path)
    return path


def test_a_folder_with_one_model_and_with_several(tmp_path):
    """Broken if one of several were picked in silence."""
    model(tmp_path / 'a.pth')
    (tmp_path / 'training_args.bin').write_bytes(b'x')
    assert read_weights(tmp_path).path == tmp_path / 'a.pth'
    model(tmp_path / 'b.pth')
    with pytest.raises(WeightsError, match=r'holds 2 files of weights \(a.pth, b.pth\)'):
        read_weights(tmp_path)
    empty = tmp_path / 'empty'
    empty.mkdir()
    with pytest.raises(WeightsError, match='holds no weights'):
        read_weights(empty)


@pytest.mark.parametrize(
    'source, said',
    [
        ('nowhere.pth', 'does not exist; check the path$'),
        ('usyd-community/vitpose-base', 'write hf:usyd-community/vitpose-base'),
        (f'x/{ZOO_FILES[1].name}', re.escape(f'MMPose has it at {ZOO_FILES[1].address}')),
        ('s3://bucket/x.pth', 'of no known kind'),
    ],
)
def test_what_is_not_there(source, said):
    """Broken if a slip were a traceback or gave no way on."""
    with pytest.raises(WeightsError, match=said):
        read_weights(source)


def test_a_download_is_compared_with_the_digits_in_its_name(tmp_path, cache):
    """Broken if a download that was cut or changed were used, or downloaded every time."""
    file = model(tmp_path / 'x.pth')
    digits = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    right, wrong = (tmp_path / f'x-{d}_20230314.pth' for d in (digits, 'deadbeef'))
    for path in (right, wrong):
        path.write_bytes(file.read_bytes())
    assert (
        read_weights(tmp_path / right).notes[0]
        == f'its SHA-256 begins with {digits}, as its name says'
    )
    assert 'was changed' in read_weights(wrong).notes[0]
    server = {right.as_uri(): right, wrong.as_uri(): wrong}
    for address, path in server.items():
        target = cache / path.name
        if path == right:
            found = sources._from_address(address)
            assert found.path == target
            path.unlink()
            assert sources._from_address(address).path == target
        else:
            with pytest.raises(UnavailableWeightsError, match='SHA-256 begins with'):
                sources._from_address(address)
            assert not target.exists()


def no_network(address, *args, **kwargs):
    raise urllib.error.URLError('Name or service not known')


def test_the_second_place_of_the_zoo(tmp_path, cache, monkeypatch):
    """Broken if weights could not be had while the zoo's host is down."""
    monkeypatch.setattr(sources, 'download_file', no_network)
    model(tmp_path / 'hub' / 'model.safetensors')
    asked = []

    def fetch(name, only=()):
        asked.append(str(name))
        if only:
            raise UnavailableWeightsError('no network')
        return tmp_path / 'hub'

    monkeypatch.setattr(sources, 'fetch', fetch)
    weights = read_weights(ZOO_FILES[1].address)
    assert asked[-1] == 'hf:usyd-community/vitpose-base'
    assert 'hf:usyd-community/vitpose-base, the same network, is taken' in weights.notes[0]


def test_both_places_fail(cache, monkeypatch):
    """Broken if the error named one place alone, or not where to put a file."""
    monkeypatch.setattr(sources, 'download_file', no_network)

    def fetch(name, only=()):
        raise UnavailableWeightsError(f'{name}: the hub cannot be reached')

    monkeypatch.setattr(sources, 'fetch', fetch)
    with pytest.raises(UnavailableWeightsError) as caught:
        read_weights(ZOO_FILES[1].address)
    for part in (ZOO_FILES[1].address, 'hf:usyd-community/vitpose-base', str(cache)):
        assert part in str(caught.value)
    with pytest.raises(
        UnavailableWeightsError, match='hf:usyd-community/vitpose-plus-small is the same'
    ):
        read_weights(ZOO_FILES[0].address)
    with pytest.raises(UnavailableWeightsError, match='put it at .*y.pth'):
        read_weights('https://example.org/y.pth?download=1')


def test_the_zoo_is_that_of_mmpose():
    """Broken if an address or a digit of the table were another than the installed mmpose's."""
    import mmpose

    folder = Path(mmpose.__file__).parent / '.mim' / 'configs' / 'body_2d_keypoint'
    text = (folder / 'topdown_heatmap' / 'coco' / 'vitpose_coco.yml').read_text()
    assert sorted(re.findall(r'Weights: (\S+)', text)) == sorted(f.address for f in ZOO_FILES)
    for file in ZOO_FILES:
        assert zoo_file(file.address) == zoo_file(f'/a/{file.name}') == file
        assert digits_in(file.name) == file.digits


def test_a_language_model_is_refused_before_it_is_downloaded(tmp_path, monkeypatch):
    """Broken if a hundred gigabytes were downloaded to be refused."""

    def fetch(name, only=()):
        assert only == ('config.json',)
        (tmp_path / 'config.json').write_text('{"model_type": "llama"}')
        return tmp_path

    monkeypatch.setattr(sources, 'fetch', fetch)
    with pytest.raises(WeightsError, match='hf:a/b is llama'):
        read_weights('hf:a/b')
