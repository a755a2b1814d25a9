"""Checkpoints load with weights_only on, and bad ones are told apart."""

import builtins
import io
import os
import pickle
import tarfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from diffpose_mm.loading import (
    CheckpointError,
    check_checkpoint,
    check_pretrained,
    read_checkpoint,
    safe_globals,
)
from diffpose_mm.models import SpatioTemporalNeck


def training_checkpoint(model, **more):
    """What mmengine writes while it trains: log histories, numpy scalars, metainfo arrays."""
    history = HistoryBuffer()
    history.update(0.5)
    history.update(np.float64(0.25))
    optimizer = torch.optim.AdamW(model.parameters())
    return dict(
        state_dict=model.state_dict(),
        optimizer=optimizer.state_dict(),
        message_hub=dict(log_scalars={'train/loss': history}, runtime_info=dict(n=np.int64(3))),
        meta=dict(
            epoch=1,
            iter=2,
            dataset_meta=dict(
                sigmas=np.ones(17, dtype=np.float32),
                colors=np.zeros((17, 3), dtype=np.uint8),
            ),
        ),
        **more,
    )


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def save(checkpoint, path):
    torch.save(checkpoint, path)
    return str(path)


def test_own_training_checkpoint_loads(model, tmp_path, monkeypatch):
    """Broken if training cannot be resumed, or only by turning weights_only off."""
    monkeypatch.delenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', raising=False)
    path = save(training_checkpoint(model), tmp_path / 'epoch_1.pth')
    loaded = torch.load(path, weights_only=True)
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert history.mean() == pytest.approx(0.375)
    assert history.statistics('max') == 0.5
    assert loaded['message_hub']['runtime_info']['n'] == 3
    np.testing.assert_array_equal(loaded['meta']['dataset_meta']['sigmas'], np.ones(17))
    assert read_checkpoint(path).keys() == loaded.keys()


@pytest.mark.parametrize('core', ['numpy.core.multiarray', 'numpy._core.multiarray'])
def test_arrays_of_either_numpy_load(core, tmp_path):
    """numpy 2 renamed the module that its pickles name; a checkpoint may come from either."""
    path = tmp_path / 'numpy.pth'
    torch.save(dict(state_dict={}, a=np.arange(3.0), b=np.float64(2)), path)
    other = 'numpy._core.multiarray' if core == 'numpy.core.multiarray' else 'numpy.core.multiarray'
    renamed = tmp_path / 'renamed.pth'
    reader, writer = torch.PyTorchFileReader(str(path)), torch.PyTorchFileWriter(str(renamed))
    data = reader.get_record('data.pkl').replace(f'c{other}'.encode(), f'c{core}'.encode())
    assert f'c{core}\n'.encode() in data
    writer.write_record('data.pkl', data, len(data))
    writer.write_record('byteorder', b'little', 6)
    writer.write_end_of_file()
    loaded = torch.load(renamed, weights_only=True)
    np.testing.assert_array_equal(loaded['a'], np.arange(3.0))
    assert loaded['b'] == 2


class Payload:
    """Runs a command when it is unpickled the ordinary way."""

    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    'function, args',
    [
        (os.system, ('touch {}',)),
        (builtins.eval, ('open({!r}, "w")',)),
        (builtins.getattr, (HistoryBuffer, '__init__')),
        (builtins.getattr, (np.ndarray, 'tofile')),
        (np.load, ('{}',)),
    ],
)
def test_payload_is_refused(function, args, model, tmp_path):
    """Broken if a downloaded checkpoint could run code."""
    mark = str(tmp_path / 'mark')
    args = tuple(arg.format(mark) if isinstance(arg, str) else arg for arg in args)
    content = training_checkpoint(model, payload=Payload(function, *args))
    path = save(content, tmp_path / 'payload.pth')
    with pytest.raises(CheckpointError, match='refused') as error:
        read_checkpoint(path)
    assert path in str(error.value)
    assert not os.path.exists(mark)


PLACES = dict(
    weights=lambda checkpoint: checkpoint['state_dict'],
    meta=lambda checkpoint: checkpoint['meta']['dataset_meta'],
    optimizer=lambda checkpoint: checkpoint['optimizer']['state'],
    message_hub=lambda checkpoint: checkpoint['message_hub']['runtime_info'],
    history=lambda checkpoint: vars(checkpoint['message_hub']['log_scalars']['train/loss']),
)


def live(path, mark):
    """Whether the payload in a file runs where it is let."""
    try:
        torch.load(path, weights_only=False)
    except RuntimeError:
        # No checkpoint, which is found out when it is too late.
        pass
    ran = mark.exists()
    mark.unlink(missing_ok=True)
    return ran


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('wrapped', [list, lambda items: np.array(items, dtype=object)])
def test_payload_is_refused_wherever_it_hides(place, wrapped, model, tmp_path):
    """Broken if a part of a training checkpoint were read in another way than the rest."""
    mark, path = tmp_path / 'mark', tmp_path / 'payload.pth'
    payload, content = Payload(os.system, f'touch {mark}'), training_checkpoint(model)
    PLACES[place](content)['hook'] = wrapped([payload])
    torch.save(content, path)
    assert live(path, mark)
    with pytest.raises(
        CheckpointError, match=r'holds (posix\.system|numpy\.dtypes\.ObjectDType),.*refused'
    ):
        read_checkpoint(str(path))
    assert not mark.exists()


def as_tar(content, path):
    """The format of torch before 0.1.10: pickles in a tar."""
    with tarfile.open(path, 'w') as archive:
        # Numbers of storages and tensors, which there are none of, and views of storages.
        for name, parts in dict(storages=(0, ()), tensors=(0,), pickle=(content,)).items():
            data = b''.join(pickle.dumps(part, protocol=2) for part in parts)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


FORMATS = dict(
    legacy=lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    tar=as_tar,
    **{
        f'pickle {protocol}': lambda content, path, p=protocol: path.write_bytes(
            pickle.dumps(content, p)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
)


@pytest.mark.parametrize('form', FORMATS)
def test_payload_does_not_run_in_other_formats(form, tmp_path):
    """Broken if an old or foreign format were a way around."""
    mark, path = tmp_path / 'mark', tmp_path / 'payload.pth'
    payload = Payload(os.system, f'touch {mark}')
    FORMATS[form](dict(state_dict=payload), path)
    assert live(path, mark)
    with pytest.raises(CheckpointError, match='payload.pth'):
        read_checkpoint(str(path))
    assert not mark.exists()


def test_programs_are_refused(tmp_path):
    """A TorchScript archive is code, and not a checkpoint that was cut short."""
    path = tmp_path / 'program.pth'
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    with pytest.raises(CheckpointError, match='refused'):
        read_checkpoint(str(path))


def test_the_stand_in_for_getattr_gives_statistics_alone():
    """Broken if a checkpoint could reach any other attribute by it."""
    stand_in = safe_globals()['builtins.getattr']
    assert stand_in is not getattr
    assert stand_in(HistoryBuffer, 'mean') is HistoryBuffer.mean
    for owner, name in ((HistoryBuffer, '__class__'), (np.ndarray, 'mean')):
        with pytest.raises(pickle.UnpicklingError):
            stand_in(owner, name)


def test_pretrained_parts_are_found_in_a_config(model, tmp_path):
    """Broken if weights that a part of the model starts from were first read in the run."""
    part = dict(type='Pretrained', checkpoint=str(tmp_path / 'none.pth'))
    with pytest.raises(CheckpointError, match='none.pth does not exist'):
        check_pretrained(dict(neck=dict(layers=[dict(init_cfg=[dict(type='Normal'), part])])))
    save(dict(state_dict=model.state_dict()), tmp_path / 'none.pth')
    check_pretrained(dict(backbone=dict(init_cfg=part)))


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match='none.pth does not exist'):
        read_checkpoint(str(tmp_path / 'none.pth'))


@pytest.mark.parametrize('share', [0.0, 0.001, 0.3, 0.9, 0.999])
def test_cut_short(share, model, tmp_path):
    """A copy that stopped half way has to be told from one of another model."""
    path = save(training_checkpoint(model), tmp_path / 'whole.pth')
    data = open(path, 'rb').read()
    cut = tmp_path / 'cut.pth'
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match=r'cut.pth \([\d,]+ bytes\).*cut short') as error:
        read_checkpoint(str(cut))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'content', [b'version https://git-lfs.github.com/spec/v1\n', b'<html>not found</html>']
)
def test_not_a_checkpoint(content, tmp_path):
    path = tmp_path / 'page.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match='page.pth'):
        read_checkpoint(str(path))


def test_a_file_of_torch_under_another_name(model, tmp_path):
    """Broken if the ending of the name decided how a file is read."""
    path = save(model.state_dict(), tmp_path / 'model.safetensors')
    assert read_checkpoint(path)['state_dict'].keys() == model.state_dict().keys()


def test_without_weights(tmp_path):
    with pytest.raises(CheckpointError, match='state_dict'):
        read_checkpoint(save(dict(epoch=3), tmp_path / 'empty.pth'))


def test_bare_state_dict(model, tmp_path):
    path = save(model.state_dict(), tmp_path / 'bare.pth')
    assert read_checkpoint(path)['state_dict'].keys() == model.state_dict().keys()
    check_checkpoint(model, path)


def test_same_architecture(model, tmp_path):
    """Broken if good checkpoints are refused, those of a distributed run among them."""
    weights = {f'module.{key}': value + 1 for key, value in model.state_dict().items()}
    path = save(dict(state_dict=weights), tmp_path / 'ddp.pth')
    check_checkpoint(model, path)
    torch.testing.assert_close(model[0].weight, weights['module.0.weight'])


def test_other_architecture(model, tmp_path):
    """The message names what differs, so that the right config can be found."""
    other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(4, 2), nn.Linear(2, 2))
    path = save(training_checkpoint(other), tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='another architecture') as error:
        check_checkpoint(model, path)
    message = str(error.value)
    assert 'only in the checkpoint (2): 3.weight (2, 2); 3.bias (2,)' in message
    assert '0.weight (8, 3, 3, 3) in the checkpoint, (4, 3, 3, 3) in the model' in message
    assert 'only in the model' not in message
    with pytest.raises(CheckpointError, match=r'only in the model \(2\)'):
        check_checkpoint(nn.Sequential(*model, nn.Linear(2, 2)), save(model.state_dict(), path))


def test_what_the_model_resizes_is_no_difference(tmp_path):
    """Position embeddings of another input size are resized at load, and are no error."""

    class Resizing(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.position = nn.Parameter(torch.zeros(size))
            self.register_load_state_dict_pre_hook(self.resize)

        @staticmethod
        def resize(module, state_dict, prefix, *args):
            state_dict[prefix + 'position'] = state_dict[prefix + 'position'][
                : len(module.position)
            ]

    path = save(dict(state_dict=Resizing(6).state_dict()), tmp_path / 'resized.pth')
    check_checkpoint(Resizing(4), path)


def test_weights_alone_cannot_be_resumed(model, tmp_path):
    path = save(dict(state_dict=model.state_dict()), tmp_path / 'weights.pth')
    with pytest.raises(CheckpointError, match='weights only.*load_from'):
        check_checkpoint(model, path, resume=True)
    check_checkpoint(model, save(training_checkpoint(model), path), resume=True)


def test_a_single_frame_model_is_not_tested_as_one_of_clips(tmp_path):
    """Broken if weights that ignore the neighbours passed for those of a model of clips."""

    def model(frames):
        neck = SpatioTemporalNeck(
            in_channels=4, feature_size=(3, 4), num_frames=frames, embed_dims=8, num_layers=1,
            num_heads=2)  # yapf: disable
        return nn.ModuleDict(dict(neck=neck))

    path = save(dict(state_dict=model(1).state_dict()), tmp_path / 'frame.pth')
    check_checkpoint(model(1), path)
    with pytest.raises(CheckpointError, match='clips of 1 frames.*has 3.*load_from'):
        check_checkpoint(model(3), path)


def test_damage_that_torch_would_load_is_refused(model, tmp_path):
    """Broken if a block that the disk lost becomes zeros among the weights."""
    path = tmp_path / 'epoch_1.pth'
    save(dict(state_dict=dict(weight=torch.ones(10000))), path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 512] = bytes(512)
    path.write_bytes(data)
    assert torch.load(path, weights_only=True)['state_dict']['weight'].sum() < 10000
    with pytest.raises(CheckpointError, match='is damaged: its contents'):
        read_checkpoint(str(path))
