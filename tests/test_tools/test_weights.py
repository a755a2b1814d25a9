"""``mim run diffpose_mm weights``: what it says, writes and compares."""

import json
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import weights_cases as cases

from diffpose_mm.models.vitpose import run_vitpose
from diffpose_mm.tools import weights as tool
from diffpose_mm.weights import WeightsError, read_weights, write_safetensors


@pytest.fixture
def hub(tmp_path):
    """A small ViTPose++ as the hub has it."""
    folder = tmp_path / 'plus'
    folder.mkdir()
    (folder / 'config.json').write_text(json.dumps(cases.config('plus')))
    with open(folder / 'model.safetensors', 'wb') as file:
        write_safetensors(file, cases.hugging_face('plus'), {'format': 'pt'})
    return folder


def without_transformers(monkeypatch):
    monkeypatch.setattr(tool, 'find_spec', lambda name: None)


def run(capsys, *arguments):
    tool.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_it_tells_and_writes_nothing(hub, capsys, tmp_path):
    """Broken if a fact were missing from what it says, or something were written unasked."""
    before = sorted(tmp_path.rglob('*'))
    said = run(capsys, hub)
    for part in (
        'Hugging Face (VitPoseForPoseEstimation)',
        '32 channels, 2 layers, 4 heads (from config.json)',
        'input: 48x64 pixels',
        'head: classic, 17 keypoints',
        'experts: coco, aic, mpii, ap10k, apt36k, wholebody; folded in: coco',
        'licence: nothing beside the weights says',
        'place of the class token was added',
    ):
        assert part in said
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('out', ['x.safetensors', 'x.pth'])
def test_it_converts_for_mmpose(out, hub, capsys, tmp_path, monkeypatch):
    """Broken if it wrote another expert, or did not say what it compared."""
    without_transformers(monkeypatch)
    said = run(capsys, hub, '--out', tmp_path / out, '--expert', 'ap10k')
    assert 'folded in: ap10k' in said and 'transformers is not installed' in said
    assert 'features differ by 0.0e+00' in said
    expected = read_weights(hub, 'ap10k').state_dict
    state = read_weights(tmp_path / out).state_dict
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())


def test_it_converts_for_transformers(hub, capsys, tmp_path, monkeypatch):
    """Broken if --to hf wrote no folder, or another model."""
    without_transformers(monkeypatch)
    path = tmp_path / 'vitae.pth'
    state = cases.vitae()
    torch.save({'state_dict': state, 'meta': {'num_heads': cases.HEADS}}, path)
    said = run(capsys, path, '--to', 'hf', '--out', tmp_path / 'new')
    assert 'heatmaps differ by' in said
    again = read_weights(tmp_path / 'new')
    ours = run_vitpose(again.state_dict, again.architecture, cases.pixels())
    expected = cases.forward(cases.hugging_face())
    assert (ours[1] - expected[1]).abs().max() < 1e-5


@pytest.mark.skipif(find_spec('transformers') is None, reason='transformers is not installed')
@pytest.mark.parametrize('to, out', [('mmpose', 'x.safetensors'), ('hf', 'new')])
def test_it_runs_both_sides(to, out, hub, capsys, tmp_path):
    """Broken if what was written were not compared with transformers' own model."""
    said = run(capsys, hub, '--to', to, '--out', tmp_path / out)
    assert f"transformers' of {hub}: features differ by" in said and 'heatmaps differ' in said


def test_the_other_side_is_asked_of_what_it_opens(hub, monkeypatch, tmp_path, capsys):
    """Broken if transformers were given another file, or expert, than was read."""
    asked = []

    def fake(folder, pixels, expert=0):
        asked.append((folder, expert, (folder / 'config.json').is_file()))
        source = read_weights(hub, tool.EXPERTS[expert] if folder == hub else None)
        state = dict(source.state_dict)
        plain = read_weights(hub)
        state |= {k: v for k, v in plain.state_dict.items() if k.startswith('head.')}
        outputs = run_vitpose(state, plain.architecture, pixels)
        return dict(zip(('features', 'heatmaps'), (x.numpy() for x in outputs)))

    monkeypatch.setattr(tool, 'find_spec', lambda name: True)
    monkeypatch.setattr(tool, 'run_transformers', fake)
    said = run(capsys, hub, '--expert', 'mpii', '--out', tmp_path / 'a.pth')
    assert asked[-1] == (hub, 2, True) and 'features differ by 0.0e+00' in said
    run(capsys, tmp_path / 'plus', '--out', tmp_path / 'b.pth')
    run(capsys, tmp_path / 'b.pth', '--out', tmp_path / 'c.pth')
    assert asked[-1][0] != hub and asked[-1][1:] == (0, True)


def test_a_difference_is_an_error(hub, monkeypatch, tmp_path):
    """Broken if weights that compute something else were handed out with rc 0."""

    def fake(folder, pixels, expert=0):
        weights = read_weights(hub)
        outputs = run_vitpose(weights.state_dict, weights.architecture, pixels)
        return dict(features=outputs[0].numpy(), heatmaps=outputs[1].numpy() * 1.01)

    monkeypatch.setattr(tool, 'find_spec', lambda name: True)
    monkeypatch.setattr(tool, 'run_transformers', fake)
    with pytest.raises(SystemExit, match='does not compute what .* does'):
        tool.main([str(hub), '--out', str(tmp_path / 'x.pth')])


def test_what_transformers_leaves_random_is_an_error(hub, monkeypatch, tmp_path):
    """Broken if its own report of missing weights were not looked at."""
    script = (
        'import json, sys, numpy as np\n'
        'np.savez(sys.argv[3], features=0, heatmaps=0, report=json.dumps('
        "{'missing_keys': ['head.conv.bias'], 'mismatched_keys': []}))\n"
    )
    (tmp_path / 'script.py').write_text(script)
    monkeypatch.setattr(tool.transformers_side, '__file__', str(tmp_path / 'script.py'))
    with pytest.raises(WeightsError, match='leaves 1 weights random, as head.conv.bias'):
        tool.run_transformers(hub, torch.zeros(1, 3, 64, 48))
    (tmp_path / 'script.py').write_text('raise ValueError("why not")')
    with pytest.raises(WeightsError, match='cannot run .*: ValueError: why not'):
        tool.run_transformers(hub, torch.zeros(1, 3, 64, 48))


@pytest.mark.parametrize('arguments, said', [(['nowhere.pth'], 'does not exist')])
def test_bad_input_is_one_line(arguments, said, capsys):
    """Broken if it were a traceback."""
    with pytest.raises(SystemExit) as caught:
        tool.main(arguments)
    assert str(caught.value).startswith('weights: ') and said in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_taken_name_is_told_before_anything_is_read(hub, tmp_path):
    """Broken if gigabytes were downloaded first."""
    (tmp_path / 'x.pth').write_bytes(b'')
    with pytest.raises(SystemExit, match='exists'):
        tool.main(['hf:not/asked', '--out', str(tmp_path / 'x.pth')])
    with pytest.raises(SystemExit, match='2'):
        tool.main([str(hub), '--to', 'hf'])


def test_other_models_are_told_and_copied(tmp_path, capsys):
    """Broken if an HRNet in mmpose's naming were refused, or said to be a ViTPose."""
    state = {
        'backbone.stage4.0.fuse_layers.0.1.0.weight': torch.ones(2),
        'backbone.transition1.0.0.weight': torch.ones(2),
    }
    torch.save({'state_dict': state, 'meta': {}}, tmp_path / 'x.pth')
    said = run(capsys, tmp_path / 'x.pth', '--out', tmp_path / 'x.safetensors')
    assert 'architecture: HRNet' in said and '2 tensors read back' in said
    assert np.all(read_weights(tmp_path / 'x.safetensors').state_dict.popitem()[1].numpy() == 1)


def test_python_m_finds_it(monkeypatch, capsys):
    """Broken if the tool had another name than its module."""
    from diffpose_mm.__main__ import main

    monkeypatch.setattr(sys, 'argv', ['diffpose_mm', 'weights', '--help'])
    with pytest.raises(SystemExit):
        main()
    assert '--expert' in capsys.readouterr().out
