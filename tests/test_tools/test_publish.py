"""What publish writes is the trained checkpoint, less what is nobody's business, and says so."""

import hashlib
import json

import numpy as np
import pytest
import torch
from tools_helpers import CONFIG, arguments

from diffpose_mm.engine import read_checkpoint
from diffpose_mm.tools import publish, test


def run(trained, out, *more):
    return publish.main(
        [str(trained / 'epoch_1.pth'), '--config', CONFIG, '--out', str(out), *map(str, more)]
    )


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
def test_published(ending, trained, tmp_path, capsys):
    """Broken if optimiser or paths were given away, or keypoints and weights were others."""
    out = tmp_path / 'new' / f'model.{ending}'
    meta = run(trained, out, '--licence', 'CC-BY-4.0')
    source, read = torch.load(trained / 'epoch_1.pth'), read_checkpoint(str(out))
    assert {'state_dict', 'meta'} <= read.keys() <= {'state_dict', 'meta', 'origin'}
    assert read['state_dict'].keys() == source['state_dict'].keys()
    for key, value in source['state_dict'].items():
        assert torch.equal(read['state_dict'][key], value)
    about = read['meta']
    assert (about['config'], about['licence'], about['epoch']) == (
        'diffpose_synthetic.py', 'CC-BY-4.0', 1)  # yapf: disable
    assert about['config_sha256'] == hashlib.sha256(about['cfg'].encode()).hexdigest()
    assert len(about['weights_sha256']) == 64 and about == about | {
        key: meta[key] for key in ('weights_sha256', 'commit', 'version')
    }
    keypoints = source['meta']['dataset_meta']
    assert about['dataset_meta']['keypoint_id2name'] == keypoints['keypoint_id2name']
    for field in ('sigmas', 'keypoint_colors', 'dataset_keypoint_weights'):
        np.testing.assert_array_equal(about['dataset_meta'][field], keypoints[field])
        assert about['dataset_meta'][field].dtype == keypoints[field].dtype
    assert str(trained) not in out.read_bytes().decode('latin-1')
    assert out.stat().st_size < (trained / 'epoch_1.pth').stat().st_size / 3
    assert hashlib.sha256(out.read_bytes()).hexdigest() in capsys.readouterr().out


def test_a_safetensors_file_is_a_checkpoint(trained, tiny_posetrack, tmp_path):
    """Broken if what publish writes could not be tested, or scored otherwise."""
    out = tmp_path / 'model.safetensors'
    run(trained, out)
    scores = [
        test.main(arguments(CONFIG, path, data_root=tiny_posetrack, work_dir=tmp_path / name))
        for name, path in dict(torch=trained / 'epoch_1.pth', safetensors=out).items()
    ]
    assert json.dumps(scores[0]) == json.dumps(scores[1])


def test_weights_of_the_last_step(trained, tmp_path):
    """Broken if averaged and last weights were mixed up."""
    source = torch.load(trained / 'epoch_1.pth')
    run(trained, tmp_path / 'last.pth', '--weights', 'last')
    read = read_checkpoint(str(tmp_path / 'last.pth'))['state_dict']
    changed = 0
    for key, value in read.items():
        assert torch.equal(value, source['ema_state_dict'][f'module.{key}'])
        changed += not torch.equal(value, source['state_dict'][key])
    assert changed > len(read) / 2
    with pytest.raises(SystemExit, match='no weights beside the averaged ones'):
        publish.main([str(tmp_path / 'last.pth'), '--config', CONFIG, '--weights', 'last',
                      '--out', str(tmp_path / 'again.pth')])  # yapf: disable


def test_half(trained, tmp_path):
    run(trained, tmp_path / 'half.pth', '--half')
    read = read_checkpoint(str(tmp_path / 'half.pth'))['state_dict']
    kinds = {value.dtype for value in read.values()}
    assert kinds == {torch.float16, torch.int64}


def test_refusals(trained, tmp_path):
    """One line each, and no file where none was."""
    (tmp_path / 'there.pth').write_bytes(b'mine')
    for out, more, message in (
        ('there.pth', (), 'there.pth exists: .*--overwrite'),
        ('model.onnx', (), 'must end with .safetensors or .pth'),
        ('model.pth', ('--config', 'strl_synthetic.py'), 'of another architecture'),
    ):
        with pytest.raises(SystemExit, match=message) as error:
            run(trained, tmp_path / out, *more)
        assert error.value.code.startswith('error: ')
    assert [path.name for path in tmp_path.iterdir()] == ['there.pth']
    assert (tmp_path / 'there.pth').read_bytes() == b'mine'
    run(trained, tmp_path / 'there.pth', '--overwrite')
    assert read_checkpoint(str(tmp_path / 'there.pth'))['state_dict']


def test_what_was_written_is_compared(trained, tmp_path, monkeypatch):
    """Broken if a file that holds something else were called verified."""
    write = publish.write

    def write_wrongly(path, weights, meta):
        first = next(iter(weights))
        write(path, weights | {first: weights[first] + 1}, meta)

    monkeypatch.setattr(publish, 'write', write_wrongly)
    with pytest.raises(SystemExit, match='holds other weights than were written'):
        run(trained, tmp_path / 'model.pth')
