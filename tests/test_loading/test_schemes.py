"""What mmengine's loader understands, and what it leaves to mmengine."""

import pytest
import torch
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

from diffpose_mm import loading
from diffpose_mm.loading import reading
from diffpose_mm.weights import HubName, hub, write_safetensors
from diffpose_mm.weights.errors import UnavailableWeightsError


@pytest.fixture
def weights():
    torch.manual_seed(0)
    return nn.Linear(3, 2).state_dict()


def write(path, weights):
    path.parent.mkdir(exist_ok=True)
    with open(path, 'wb') as file:
        write_safetensors(file, weights)
    return str(path)


def loaded(source):
    """What mmengine puts into a model."""
    model = nn.Linear(3, 2)
    load_checkpoint(model, source, map_location='cpu', strict=True)
    return model.state_dict()


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_safetensors_by_content(weights, tmp_path):
    """A file, under any name, and a folder with one."""
    for name in ('model.safetensors', 'model.pth', 'folder/model.safetensors'):
        assert_same(loaded(write(tmp_path / name, weights)), weights)
    assert_same(loaded(str(tmp_path / 'folder')), weights)


@pytest.fixture
def hub_folder(tmp_path, monkeypatch, weights):
    """A hub that has one model, OWNER/there; it is not reached over a network."""
    write(tmp_path / 'hub' / 'model.safetensors', weights)

    def fetch(source, only=()):
        name = source if isinstance(source, HubName) else hub.parse(source)
        if name.repository != 'OWNER/there':
            raise UnavailableWeightsError(f'{name} is not on the hub')
        return tmp_path / 'hub'

    monkeypatch.setattr('diffpose_mm.weights.sources.fetch', fetch)


def test_names_of_the_hub(hub_folder, weights):
    assert_same(loaded('hf:OWNER/there'), weights)
    with pytest.raises(loading.UnavailableError, match='hf:OWNER/gone is not on the hub'):
        loaded('hf:OWNER/gone')


def test_the_first_source_that_can_be_had(hub_folder, weights, tmp_path):
    """A file that is not there, a model that is gone, one that is there."""
    missing = str(tmp_path / 'none.pth')
    sources = f'{missing} or hf:OWNER/gone or hf:OWNER/there'
    assert_same(loaded(sources), weights)
    assert loading.read_checkpoint(sources)['origin'] == 'hf:OWNER/there'
    assert_same(loaded(f'hf:OWNER/gone or {write(tmp_path / "a.safetensors", weights)}'), weights)
    with pytest.raises(loading.UnavailableError) as error:
        loaded(f'{missing} or hf:OWNER/gone')
    message = str(error.value)
    assert '1. checkpoint ' in message and 'none.pth does not exist' in message
    assert '2. hf:OWNER/gone is not on the hub' in message
    assert 'give its path' in message and 'model.backbone.init_cfg=None' in message


def test_a_damaged_source_is_not_passed_over(hub_folder, tmp_path):
    """Broken if a file that was cut short were replaced by other weights without an error."""
    (tmp_path / 'cut.pth').write_bytes(b'PK\x03\x04 cut')
    with pytest.raises(loading.CheckpointError, match='cut.pth.*cut short'):
        reading.read_checkpoint(f'{tmp_path / "cut.pth"} or hf:OWNER/there')


def test_a_name_with_or_in_it_is_a_name(weights, tmp_path):
    assert_same(loaded(write(tmp_path / 'this or that.pth', weights)), weights)


def test_files_of_torch_are_left_to_mmengine(tmp_path, monkeypatch):
    """Broken if names in somebody else's checkpoint were changed, or it were read otherwise."""
    names = {'backbone.blocks.0.attn.qkv.weight': torch.ones(2)}
    path = tmp_path / 'theirs.pth'
    torch.save(dict(anything=3, state_dict=names), path)
    monkeypatch.setattr('diffpose_mm.loading.schemes.read_checkpoint', None)
    checkpoint = CheckpointLoader.load_checkpoint(str(path), 'cpu')
    assert checkpoint['anything'] == 3 and checkpoint['state_dict'].keys() == names.keys()
    with pytest.raises(FileNotFoundError, match='none.pth can not be found'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'none.pth'))


def test_second_call_changes_nothing():
    before = dict(CheckpointLoader._schemes)
    loading.register_schemes()
    assert CheckpointLoader._schemes == before
