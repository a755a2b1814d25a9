"""What mmengine refuses to load stays refused, whichever mmengine it is."""

import pickle

import mmengine.runner.checkpoint
import pytest
import torch
from mmengine.runner import CheckpointLoader

from diffpose_mm import loading


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


def test_mmengine_without_it_is_left_alone(monkeypatch):
    monkeypatch.delattr(mmengine.runner.checkpoint, '_safe_torch_load', raising=False)
    loading.forbid_loading_code()
    assert not hasattr(mmengine.runner.checkpoint, '_safe_torch_load')
