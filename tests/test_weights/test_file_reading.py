"""Files told by their content, read safely, and unchanged while they are read."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffpose_mm.weights import WeightsError, file_reading
from diffpose_mm.weights.file_reading import read_content

STATE = {'a': torch.arange(4.0), 'b': torch.ones(2, 2)}


@pytest.mark.parametrize('name', ['x.safetensors', 'x.pth', 'x.bin', 'x'])
@pytest.mark.parametrize('form', ['safetensors', 'torch', 'old torch'])
def test_the_form_is_told_by_content(name, form, tmp_path):
    """Broken if a file with another suffix than its form's were misread."""
    path = tmp_path / name
    if form == 'safetensors':
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=form == 'torch')
    content = read_content(path)
    assert content.form == form.split()[-1]
    assert content.files == (path,)
    assert all(torch.equal(content.value[key], value) for key, value in STATE.items())


@pytest.mark.parametrize('number', range(97, 112))
def test_every_length_of_a_header(number, tmp_path):
    """Broken if a header whose length's first byte is that of another format were misread.

    torch.load takes 104 (h) for a memo of pickle and fails with ``KeyError: 0``.
    """
    for metadata in range(8):
        path = tmp_path / f'{number}_{metadata}'
        save_file({'a' * number: torch.ones(1)}, path, {'x': 'y' * metadata})
        assert read_content(path).form == 'safetensors'


class Payload:
    """Unpickled, it would make a folder."""

    def __reduce__(self):
        return os.mkdir, ('payload_ran',)


def test_a_payload_is_refused_and_not_run(tmp_path, monkeypatch):
    """Broken if reading a checkpoint ran what it holds, whatever the environment says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    torch.save({'state_dict': STATE, 'x': Payload()}, 'new.pth')
    torch.save({'x': Payload()}, 'old.bin', _use_new_zipfile_serialization=False)
    Path('plain.pth').write_bytes(pickle.dumps(Payload(), protocol=2))
    for name in ('new.pth', 'old.bin', 'plain.pth'):
        with pytest.raises(
            WeightsError, match=f'{name} (holds .*mkdir.*refused|is cut|is damaged)'
        ):
            read_content(Path(name))
    assert not Path('payload_ran').exists()
    pickle.loads(pickle.dumps(Payload()))
    assert Path('payload_ran').exists(), 'the payload is none'


def test_a_cut_or_changed_pth_is_damaged(tmp_path):
    """Broken if a cut file were a riddle, or a changed byte were loaded: torch does not look."""
    path = tmp_path / 'x.pth'
    torch.save(STATE | {'long': torch.zeros(5000)}, path)
    whole = path.read_bytes()
    for length in (2, 300, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match='x.pth is cut short or damaged'):
            read_content(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + b'\1' + whole[middle + 1 :])
    torch.load(path, weights_only=True)
    with pytest.raises(WeightsError, match='does not match its checksum'):
        read_content(path)


@pytest.mark.parametrize(
    'start, said',
    [
        (b'', 'is empty'),
        (b'<!DOCTYPE html><html>', 'a web page'),
        (b'version https://git-lfs.github.com/spec/v1\n', 'git lfs pull'),
        (b'GGUF' + b'\3' * 60, 'llama.cpp'),
        (b'\x89HDF\r\n\x1a\n' + b'\0' * 60, 'Keras'),
        (b'\x08\x08\x12\x07pytorch' + b'\0' * 60, 'ONNX'),
        (b'something else entirely', 'neither a safetensors file'),
    ],
)
def test_other_files_are_told(start, said, tmp_path):
    """Broken if a page of an error, saved as weights, were called a damaged checkpoint."""
    (tmp_path / 'x.pth').write_bytes(start)
    with pytest.raises(WeightsError, match=said):
        read_content(tmp_path / 'x.pth')


def test_archives_that_are_no_weights(tmp_path):
    """Broken if any zip, or a program, were taken for weights."""
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as archive:
        archive.writestr('a.txt', 'a')
    with pytest.raises(WeightsError, match='zip archive without weights'):
        read_content(tmp_path / 'x.zip')
    with zipfile.ZipFile(tmp_path / 'x.pt', 'w') as archive:
        for name in ('m/data.pkl', 'm/code/__torch__.py', 'm/constants.pkl'):
            archive.writestr(name, '')
    with pytest.raises(WeightsError, match='TorchScript'):
        read_content(tmp_path / 'x.pt')


@pytest.mark.parametrize('ending', ['safetensors', 'bin'])
def test_shards(ending, tmp_path):
    """Broken if a model in several files were not one, or half of it passed for the whole."""
    index = tmp_path / f'model.{ending}.index.json'
    places = {}
    for i, (name, value) in enumerate(STATE.items()):
        shard = f'model-{i}.{ending}'
        places[name] = shard
        (save_file if ending == 'safetensors' else torch.save)({name: value}, tmp_path / shard)
    index.write_text(json.dumps(dict(weight_map=places)))
    content = read_content(index)
    assert content.value.keys() == STATE.keys() and len(content.files) == 3
    index.write_text(json.dumps(dict(weight_map=places | {'c': f'model-0.{ending}'})))
    with pytest.raises(WeightsError, match='lacks 1 of the weights'):
        read_content(index)
    os.remove(tmp_path / f'model-1.{ending}')
    with pytest.raises(WeightsError, match='1 are not beside it: model-1'):
        read_content(index)


@pytest.mark.parametrize(
    'text, said',
    [
        ('{"weight_map": {"a": "../x.safetensors"}}', 'out of its folder'),
        ('{"weight_map": {}}', 'names 0 files'),
        ('{"weight_map": 3}', 'no index'),
        ('{"weights": 3}', 'no index'),
        ('{', 'no index'),
    ],
)
def test_an_index_that_is_none(text, said, tmp_path):
    """Broken if an index led out of its folder, or a broken one were a traceback."""
    path = tmp_path / 'model.safetensors.index.json'
    path.write_text(text)
    with pytest.raises(WeightsError, match=said):
        read_content(path)


def test_a_file_that_changes_is_refused(tmp_path, monkeypatch):
    """Broken if half of an old file and half of a new one passed for a model."""
    path = tmp_path / 'x.safetensors'
    save_file(STATE, path)
    real = file_reading.read_safetensors

    def slowly(name):
        result = real(name)
        os.utime(path, ns=(1, 1))
        return result

    monkeypatch.setattr(file_reading, 'read_safetensors', slowly)
    with pytest.raises(WeightsError, match='changed while it was read'):
        read_content(path)


def test_a_file_that_is_not_there(tmp_path):
    """Broken if it were a traceback."""
    with pytest.raises(WeightsError, match='x.pth cannot be read: No such file'):
        read_content(tmp_path / 'x.pth')
