"""The command that turns published weights into ours."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from diffpose_mm.shipped import PUBLISHED, shipped_path
from diffpose_mm.shipped.movenet_names import backbone_names, state_dict_of
from diffpose_mm.tools.import_weights import main
from diffpose_mm.weights import read_safetensors

WEIGHTS = Path(__file__).resolve().parents[3] / 'shared' / 'real' / 'weights'
needs_published = pytest.mark.skipif(not WEIGHTS.is_dir(), reason='published files are not here')


def error_of(*argv):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in argv])
    message = str(caught.value)
    assert message.startswith('error: ') and '\n' not in message
    return message


@needs_published
@pytest.mark.parametrize('name', PUBLISHED)
def test_the_shipped_files_come_out_byte_for_byte(name, tmp_path, capsys):
    """Broken if the weights in the repository could not be made again from the published ones."""
    out = tmp_path / 'new' / 'a.safetensors'
    main([name, str(WEIGHTS / f'{name}.json'), '--out', str(out)])
    assert out.read_bytes() == shipped_path(name).read_bytes()
    assert 'verified: yes' in capsys.readouterr().out
    said = error_of(name, WEIGHTS / f'{name}.json', '--out', out)
    assert 'is there already; give --overwrite' in said


@needs_published
@pytest.mark.parametrize(
    'file, said',
    [
        ('movenet-multipose', 'is movenet-multipose, not movenet-thunder'),
        ('centernet', 'is not MoveNet: .* it was made by https://github.com/610265158'),
    ],
)
def test_another_model(file, said, tmp_path):
    """Broken if the weights of another network were written under this name."""
    message = error_of(
        'movenet-thunder', WEIGHTS / f'{file}.json', '--out', tmp_path / 'a.safetensors'
    )
    assert re.search(said, message), message
    assert not list(tmp_path.iterdir())


def changed_copy(folder, name):
    """The published files with one number changed."""
    for suffix in ('.json', '.bin'):
        shutil.copyfile(WEIGHTS / f'{name}{suffix}', folder / f'{name}{suffix}')
    data = bytearray((folder / f'{name}.bin').read_bytes())
    data[5000] ^= 1
    (folder / f'{name}.bin').write_bytes(data)
    return folder / f'{name}.json'


@needs_published
def test_another_content_needs_a_word(tmp_path):
    """Broken if a changed file passed for the published one."""
    path, out = changed_copy(tmp_path, 'movenet-thunder'), tmp_path / 'a.safetensors'
    said = error_of('movenet-thunder', path, '--out', out)
    assert 'not the published file by its sha256' in said and '--unverified' in said
    main(['movenet-thunder', str(path), '--out', str(out), '--unverified'])
    assert read_safetensors(out)[1]['verified'].startswith('no')


@needs_published
def test_another_width(tmp_path):
    """Broken if a changed MultiPose were taken for Thunder."""
    path = changed_copy(tmp_path, 'movenet-multipose')
    said = error_of('movenet-thunder', path, '--out', tmp_path / 'a.safetensors')
    assert 'is MoveNet, but not movenet-thunder' in said


@needs_published
def test_a_cut_file(tmp_path):
    """Broken if a half copied file gave weights."""
    path = changed_copy(tmp_path, 'movenet-thunder')
    data = path.with_suffix('.bin').read_bytes()
    path.with_suffix('.bin').write_bytes(data[: len(data) // 2])
    said = error_of('movenet-thunder', path, '--out', tmp_path / 'a.safetensors')
    assert 'movenet-thunder.bin: is cut short' in said


def test_wrong_ends(tmp_path):
    """Broken if a slip in a file's name cost the conversion."""
    (tmp_path / 'a.json').write_text(json.dumps([]))
    assert 'has to end in .safetensors' in error_of(
        'movenet-thunder', tmp_path / 'a.json', '--out', tmp_path / 'a.pth'
    )
    assert 'is no TensorFlow.js model' in error_of(
        'movenet-thunder', tmp_path / 'a.json', '--out', tmp_path / 'a.safetensors'
    )


def test_axes_are_pytorchs():
    """Broken if kernels were transposed: a convolution and a depthwise one, number by number."""
    names = backbone_names()
    weights = {theirs: np.zeros(1, np.float16) for theirs in names.values()}
    rng = np.random.default_rng(0)
    plain, depthwise = rng.random((3, 3, 2, 5)), rng.random((3, 3, 4, 1))
    weights[names['backbone.stem.weight']] = plain.astype(np.float16)
    weights[names['backbone.blocks.3.depthwise.weight']] = depthwise.astype(np.float16)
    found = state_dict_of(weights)
    for o in range(5):
        for c in range(2):
            expected = plain[:, :, c, o].astype(np.float16)
            np.testing.assert_array_equal(found['backbone.stem.weight'][o, c], expected)
    for c in range(4):
        expected = depthwise[:, :, c, 0].astype(np.float16)
        np.testing.assert_array_equal(found['backbone.blocks.3.depthwise.weight'][c, 0], expected)
