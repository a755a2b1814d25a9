"""What mmengine refuses to load stays refused, whichever mmengine it is."""

import pickle
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import mmengine.runner.checkpoint
import pytest
import torch
from mmengine.runner import CheckpointLoader

from diffpose_mm import loading
from diffpose_mm.loading import reading


class Payload:
    """Makes a file when it is unpickled the ordinary way."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, 'w')


def second_try(file, map_location=None, weights_only=None):
    """As onedl-mmengine 0.10.12 does."""
    try:
        return torch.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError:
        return torch.load(file, map_location=map_location, weights_only=False)


@pytest.fixture
def armed(tmp_path):
    """A checkpoint that makes a file where it is let."""
    path, mark = tmp_path / 'armed.pth', tmp_path / 'mark'
    torch.save(dict(state_dict=dict(weight=torch.zeros(1)), other=Payload(mark)), path)
    second_try(path)
    assert mark.exists(), 'the payload is a dud, and the test would prove nothing'
    mark.unlink()
    return path, mark


def test_importing_the_package_was_enough(armed):
    """The mmengine that is here, as it is after the import."""
    path, mark = armed
    with pytest.raises(pickle.UnpicklingError):
        CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    assert not mark.exists()


def test_second_try_of_the_fork_is_taken_back(armed, monkeypatch):
    """Broken if a checkpoint with code ran through MMPoseInferencer beside onedl-mmengine."""
    path, mark = armed

    def load(filename, map_location):
        return mmengine.runner.checkpoint._safe_torch_load(filename, map_location=map_location)

    monkeypatch.setattr(mmengine.runner.checkpoint, '_safe_torch_load', second_try, raising=False)
    monkeypatch.setattr(mmengine.runner.checkpoint, 'load_from_local', load)
    loading.forbid_loading_code()
    with pytest.raises(pickle.UnpicklingError):
        load(path, 'cpu')
    with pytest.raises(pickle.UnpicklingError):
        mmengine.runner.checkpoint._safe_torch_load(path, 'cpu', False)
    assert not mark.exists()


@pytest.fixture
def address(armed, monkeypatch):
    """Address of a folder with the checkpoint, and an empty place for downloads."""
    path, _ = armed
    handler = partial(SimpleHTTPRequestHandler, directory=str(path.parent))
    handler.func.log_message = lambda *args: None
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv('TORCH_HOME', str(path.parent / 'torch'))
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


def test_a_file_from_an_address_does_not_run(armed, address):
    """Broken if torch.hub, which mmengine asks, unpickled a download: its default is to do so."""
    path, mark = armed
    with pytest.raises(pickle.UnpicklingError):
        CheckpointLoader.load_checkpoint(f'{address}/{path.name}', map_location='cpu')
    assert not mark.exists()
    with pytest.raises(loading.CheckpointError, match='armed.pth holds _?io.open.*refused'):
        loading.read_checkpoint(f'{address}/{path.name}')
    assert not mark.exists()
    # As it is without the package, so that the test proves something.
    original = mmengine.runner.checkpoint.load_url._diffpose_mm_original
    original(f'{address}/{path.name}', map_location='cpu')
    assert mark.exists()


def test_plain_weights_from_an_address_load(armed, address):
    """Broken if weights alone were refused, or a name that the host does not have no error."""
    path, _ = armed
    torch.save(dict(state_dict=dict(weight=torch.ones(2))), path.parent / 'plain.pth')
    assert loading.read_checkpoint(f'{address}/plain.pth')['state_dict']['weight'].sum() == 2
    with pytest.raises(loading.UnavailableError, match='none.pth could not be downloaded.*404'):
        loading.read_checkpoint(f'{address}/none.pth')


def test_second_call_wraps_nothing_twice():
    before = mmengine.runner.checkpoint.load_url
    loading.forbid_loading_code()
    assert mmengine.runner.checkpoint.load_url is before


def test_mmengine_without_it_is_left_alone(monkeypatch):
    monkeypatch.delattr(mmengine.runner.checkpoint, '_safe_torch_load', raising=False)
    loading.forbid_loading_code()
    assert not hasattr(mmengine.runner.checkpoint, '_safe_torch_load')


def test_object_stores_are_read_as_files_are(armed, monkeypatch):
    """Broken if a checkpoint in a store ran where torch's own refusal is turned off."""
    path, mark = armed

    class Store:
        def get(self, name):
            return path.read_bytes()

    monkeypatch.setattr(reading, 'get_file_backend', lambda name, backend_args: Store())
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    for name in ('s3://bucket/armed.pth', 'cluster:petrel://bucket/armed.pth'):
        with pytest.raises(loading.CheckpointError, match=f'{name} holds _?io.open.*refused'):
            loading.read_checkpoint(name)
    assert not mark.exists()


@pytest.mark.parametrize('name', ['torchvision://resnet18', 'open-mmlab://some', 'mmcls://some'])
def test_short_names_of_addresses_do_not_run(name, armed, address, monkeypatch):
    """All of them end at the same function, whose default is to unpickle."""
    path, mark = armed
    table = dict(resnet18=f'{address}/armed.pth', some=f'{address}/armed.pth')
    for function in ('get_torchvision_models', 'get_external_models', 'get_mmcls_models'):
        monkeypatch.setattr(mmengine.runner.checkpoint, function, lambda: table)
    with pytest.raises(loading.CheckpointError, match=f'{name} holds _?io.open.*refused'):
        loading.read_checkpoint(name)
    assert not mark.exists()
