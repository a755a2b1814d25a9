"""What is written of weights: read back the same, whole or not at all."""

import json

import pytest
import torch
import weights_cases as cases

from diffpose_mm.weights import WeightsError, read_weights, write_hugging_face, write_mmpose


@pytest.fixture
def folder(tmp_path):
    """A function that writes a small model as the hub has it."""

    def write(kind='classic', **changes):
        path = tmp_path / f'hub-{kind}'
        path.mkdir(exist_ok=True)
        (path / 'config.json').write_text(json.dumps(cases.config(kind, **changes)))
        (path / 'README.md').write_text('---\nlicense: apache-2.0\n---\n')
        torch.save(cases.hugging_face(kind), path / 'pytorch_model.bin')
        return path

    return write


@pytest.mark.parametrize('name', ['x.safetensors', 'x.pth'])
def test_for_mmpose(name, folder, tmp_path):
    """Broken if the heads, expert or licence were lost with config.json, or a tensor."""
    weights = read_weights(folder('plus'))
    again = read_weights(write_mmpose(weights, tmp_path / 'new' / name))
    assert again.naming == 'mmpose'
    for key, value in weights.state_dict.items():
        assert torch.equal(again.state_dict[key], value)
    assert again.state_dict.keys() == weights.state_dict.keys()
    assert again.architecture.num_heads == cases.HEADS
    assert again.architecture.heads_from == 'the metadata in the file'
    assert (again.meta['expert'], again.licence) == ('coco', 'apache-2.0')


@pytest.mark.parametrize('kind', cases.KINDS)
def test_for_transformers_and_back(kind, folder, tmp_path):
    """Broken if the way back lost a weight, or wrote a default of transformers that is wrong."""
    weights = read_weights(folder(kind))
    target = write_hugging_face(weights, tmp_path / 'new')
    again = read_weights(target)
    assert again.naming == 'hugging face' and not again.experts
    for key, value in weights.state_dict.items():
        assert torch.equal(again.state_dict[key], value)
    assert again.state_dict.keys() == weights.state_dict.keys()
    config = json.loads((target / 'config.json').read_text())
    assert config['backbone_config']['out_indices'] == [cases.DEPTH]
    assert config['use_simple_decoder'] == (kind == 'simple')
    assert len(config['id2label']) == 17


def test_what_cannot_be_written_for_transformers(folder, tmp_path):
    """Broken if a model without head, or with other parts, were written as if it were whole."""
    with pytest.raises(WeightsError, match='has no head of ViTPose'):
        write_hugging_face(read_weights(folder('plus'), 'aic'), tmp_path / 'a')
    weights = read_weights(folder())
    state = weights.state_dict | {'neck.weight': torch.ones(2)}
    torch.save({'state_dict': state, 'meta': {'num_heads': 4}}, tmp_path / 'x.pth')
    with pytest.raises(WeightsError, match='1 weights that .* no place for, as neck.weight'):
        write_hugging_face(read_weights(tmp_path / 'x.pth'), tmp_path / 'a')
    torch.save(weights.state_dict, tmp_path / 'y.pth')
    with pytest.raises(WeightsError, match='nothing says its number of heads'):
        write_hugging_face(read_weights(tmp_path / 'y.pth'), tmp_path / 'a')
    assert not (tmp_path / 'a').exists()


def test_nothing_is_overwritten_unasked(folder, tmp_path):
    """Broken if a model that took days were replaced by a slip."""
    weights = read_weights(folder())
    file, model = tmp_path / 'x.pth', tmp_path / 'model'
    write_mmpose(weights, file)
    write_hugging_face(weights, model)
    for write, path in ((write_mmpose, file), (write_hugging_face, model)):
        with pytest.raises(WeightsError, match='exists; give another name, or --overwrite'):
            write(weights, path)
        write(weights, path, overwrite=True)
    for path, said in (('x.bin', 'has to end in'), ('x', 'has to end in')):
        with pytest.raises(WeightsError, match=said):
            write_mmpose(weights, tmp_path / path)
    with pytest.raises(WeightsError, match='are a folder'):
        write_hugging_face(weights, tmp_path / 'y.safetensors')


@pytest.mark.parametrize('name', ['x.safetensors', 'x.pth'])
def test_a_write_that_fails_leaves_what_was(name, folder, tmp_path, monkeypatch):
    """Broken if a full disk cost the old file too, or left half a new one under its name."""
    weights = read_weights(folder())
    target = write_mmpose(weights, tmp_path / 'out' / name)
    before = target.read_bytes()
    weights.state_dict['backbone.ln1.bias'] = Unwritable()
    with pytest.raises(Exception, match='no space|cannot hold'):
        write_mmpose(weights, target, overwrite=True)
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == [name]


class Unwritable(torch.Tensor):
    """Fails when it is written."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        raise OSError(28, 'no space left')


def test_a_view_is_written_alone(folder, tmp_path):
    """Broken if a slice of a large tensor were saved with all of it, as torch.save does."""
    weights = read_weights(folder())
    large = torch.zeros(1_000_000)
    weights.state_dict['backbone.ln1.bias'] = large[: cases.DIMS]
    size = write_mmpose(weights, tmp_path / 'x.pth').stat().st_size
    whole = sum(v.numel() * v.element_size() for v in weights.state_dict.values())
    assert size < whole + 100_000
