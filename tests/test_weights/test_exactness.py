"""What converted weights compute, against transformers' own model and the papers' formulas."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import weights_cases as cases

from diffpose_mm.models.vitpose import run_vitpose
from diffpose_mm.weights import EXPERTS, read_weights, write_safetensors

HERE = Path(__file__).parent
RECORD = HERE / 'recorded' / 'transformers.npz'
EXACT = 1e-5
ALL = [(kind, e) for kind, (_, experts) in cases.KINDS.items() for e in range(experts)]


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Kind -> folder as the hub has it."""
    root = tmp_path_factory.mktemp('hub')
    for kind in cases.KINDS:
        folder = root / kind
        folder.mkdir()
        (folder / 'config.json').write_text(json.dumps(cases.config(kind)))
        with open(folder / 'model.safetensors', 'wb') as file:
            write_safetensors(file, cases.hugging_face(kind), {'format': 'pt'})
    return {kind: root / kind for kind in cases.KINDS}


def ours(folder, expert):
    """What we compute; of an expert that has no head in the file, with the head that is there."""
    weights = read_weights(folder, EXPERTS[expert])
    state, architecture = dict(weights.state_dict), weights.architecture
    if architecture.head is None:
        plain = read_weights(folder)
        architecture = plain.architecture
        state |= {k: v for k, v in plain.state_dict.items() if k.startswith('head.')}
    return run_vitpose(state, architecture, cases.pixels())


@pytest.mark.parametrize('kind, expert', ALL)
def test_hugging_face_equals_the_recorded_transformers(kind, expert, folders):
    """Broken if a model from the hub computed something else than transformers 5.24.0 does."""
    features, heatmaps = ours(folders[kind], expert)
    with np.load(RECORD) as record:
        assert str(record['version']) == '5.24.0'
        expected = [record[f'{kind}/{expert}/{name}'] for name in ('features', 'heatmaps')]
    assert np.abs(features.flatten(2).numpy() - expected[0]).max() < EXACT
    assert np.abs(heatmaps.numpy() - expected[1]).max() < EXACT


@pytest.mark.parametrize('kind, expert', ALL)
def test_the_record_is_of_these_weights(kind, expert):
    """Broken if the record were stale, or of a library that computes something else."""
    features, heatmaps = cases.forward(cases.hugging_face(kind), expert=expert)
    with np.load(RECORD) as record:
        assert list(record[f'{kind}/names']) == sorted(cases.hugging_face(kind))
        assert (
            np.abs(features.flatten(2).numpy() - record[f'{kind}/{expert}/features']).max() < EXACT
        )
        assert np.abs(heatmaps.numpy() - record[f'{kind}/{expert}/heatmaps']).max() < EXACT


@pytest.mark.skipif(find_spec('transformers') is None, reason='transformers is not installed')
def test_the_installed_transformers_computes_what_was_recorded(tmp_path):
    """Broken if another release of transformers named or computed it otherwise.

    In a process of its own: mmpretrain and some releases of transformers exclude each other.
    """
    target = tmp_path / 'now.npz'
    script = HERE / 'record_transformers.py'
    subprocess.run([sys.executable, script, target], check=True, capture_output=True)
    with np.load(target) as now, np.load(RECORD) as record:
        for name in sorted(set(record.files) - {'version'}):
            if name.endswith('names'):
                assert list(now[name]) == list(record[name])
            else:
                assert np.abs(now[name] - record[name]).max() < EXACT, name


def independent_heads(state, index):
    """Hugging Face's names of one of ViTAE's heads."""
    start = f'associate_keypoint_heads.{index - 1}.' if index else 'keypoint_head.'
    names = {
        'deconv_layers.0.': 'deconv1.',
        'deconv_layers.1.': 'batchnorm1.',
        'deconv_layers.3.': 'deconv2.',
        'deconv_layers.4.': 'batchnorm2.',
        'final_layer.': 'conv.',
    }
    return {
        f'head.{new}{name.removeprefix(start + old)}': value
        for name, value in state.items()
        for old, new in names.items()
        if name.startswith(start + old)
    }


@pytest.mark.parametrize('kind, expert', ALL)
def test_vitae_equals_the_formulas(kind, expert, tmp_path):
    """Broken if ViTAE's own .pth computed something else: its experts have heads of their own."""
    state = cases.vitae(kind)
    path = tmp_path / 'vitae.pth'
    torch.save({'state_dict': state, 'meta': {'epoch': 210}}, path)
    weights = read_weights(path, EXPERTS[expert])
    assert weights.naming == 'vitae'
    assert 'backbone.cls_token' in weights.unused
    architecture = weights.architecture
    architecture = type(architecture)(**{**vars(architecture), 'num_heads': cases.HEADS})
    features, heatmaps = run_vitpose(weights.state_dict, architecture, cases.pixels())
    head = independent_heads(state, expert)
    expected = cases.forward(cases.hugging_face(kind), expert=expert, head=head)
    assert (features - expected[0]).abs().max() < EXACT
    keypoints = (17, 14, 16, 17, 17, 17)[expert]  # the heads here have 17 channels all
    expected = expected[0], expected[1][:, :keypoints]
    assert heatmaps.shape == expected[1].shape
    assert (heatmaps - expected[1]).abs().max() < EXACT
    if expert:
        other = cases.forward(cases.hugging_face(kind), expert=expert)
        assert (heatmaps - other[1][:, :keypoints]).abs().max() > 100 * EXACT


def test_traps_are_told_apart_by_these_comparisons(folders):
    """Broken if dropping the first place, wrong heads or another expert would pass unseen."""
    weights = read_weights(folders['plus'])
    right = run_vitpose(weights.state_dict, weights.architecture, cases.pixels())[0]
    state = dict(weights.state_dict)
    place = cases.hugging_face('plus')['backbone.embeddings.position_embeddings']
    state['backbone.pos_embed'] = place[:, 1:]
    other = type(weights.architecture)(**{**vars(weights.architecture), 'num_heads': 2})
    expert = read_weights(folders['plus'], 'mpii')
    for wrong in (
        run_vitpose(state, weights.architecture, cases.pixels()),
        run_vitpose(weights.state_dict, other, cases.pixels()),
        run_vitpose(expert.state_dict, expert.architecture, cases.pixels()),
    ):
        assert (wrong[0] - right).abs().max() > 100 * EXACT
