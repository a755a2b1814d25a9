"""What export writes, and what it refuses."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from diffpose_mm import optional_modules
from diffpose_mm.tools import export

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / 'diffpose_synthetic.py'
CHECKPOINT = ROOT / 'projects' / 'demo' / 'checkpoints' / 'diffpose_synthetic.pth'


def run(out, *more, config=CONFIG, checkpoint=CHECKPOINT):
    argv = [config, '--checkpoint', checkpoint, '--out', out, *more]
    return export.main(list(map(str, argv)))


@pytest.mark.parametrize('kind, ending', [('onnx', '.onnx'), ('openvino', '.xml')])
def test_parts_and_manifest(kind, ending, tmp_path, capsys):
    """Broken if a part were in two ONNX files, or joints were not those of the model."""
    out = tmp_path / 'new' / 'exported'
    found = run(out, '--format', kind, '--licence', 'CC-BY-4.0')
    assert found['mean'] < 1e-3 and 'joints differ' in capsys.readouterr().out
    manifest = json.loads((out / 'manifest.json').read_text())
    names = {f'{part}{ending}' for part in ('tokens', 'prepare', 'denoise')}
    names |= {f'{Path(name).stem}.bin' for name in names if kind == 'openvino'}
    assert {path.name for path in out.iterdir()} == names | {'manifest.json'}
    assert set(manifest['files']) == names
    assert manifest['licence'] == 'CC-BY-4.0' and manifest['frame_offsets'] == [-2, 0, 2]
    assert len(manifest['keypoints']) == len(manifest['sigmas']) == 17
    assert str(ROOT) not in (out / 'manifest.json').read_text()
    assert [path.name for path in out.parent.iterdir()] == ['exported']


@pytest.mark.parametrize(
    'neck',
    [dict(type='KeyframeQueryNeck'), dict(type='JointQueryNeck', num_keypoints=17)],
    ids=['keyframe', 'joint'],
)
def test_other_merges_are_exported(neck, tmp_path):
    """Broken if only the paper's merge could be run without torch."""
    cfg = Config.fromfile(CONFIG)
    cfg.model.neck.update(neck)
    cfg.dump(tmp_path / 'config.py')
    torch.manual_seed(0)
    init_default_scope('mmpose')
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'weights.pth')
    found = run(
        tmp_path / 'out', config=tmp_path / 'config.py', checkpoint=tmp_path / 'weights.pth'
    )
    assert found['mean'] < 1e-3


def test_nothing_is_written_above_the_bound(tmp_path):
    """Broken if an export that moves joints were put in its place."""
    with pytest.raises(SystemExit, match='more than --bound -1.0: nothing was written'):
        run(tmp_path / 'exported', '--bound', '-1')
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_stays(tmp_path):
    """Broken if an export wrote over files."""
    (tmp_path / 'mine').write_text('')
    with pytest.raises(SystemExit, match='is not an empty folder'):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['mine']


def test_models_that_no_runtime_can_do(tmp_path):
    """Broken if a head without diffusion were exported as if it had one."""
    with pytest.raises(SystemExit, match='export is of models with a DiffPoseHead'):
        run(tmp_path / 'out', config='movenet_thunder', checkpoint='shipped://movenet-thunder')


def test_what_writes_is_not_installed(tmp_path, monkeypatch):
    """Broken if the error did not name the one command."""
    monkeypatch.setattr(optional_modules.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(SystemExit, match='needs: pip install onnx onnxscript'):
        run(tmp_path / 'out')


def test_weights_that_come_with_a_config(tmp_path, monkeypatch):
    """Broken if the config that has weights asked for them, or others were made of none."""
    seen = []

    def build(config, weights, **options):
        seen.append((config, weights))
        raise ValueError('seen enough')

    monkeypatch.setattr(export, 'DiffPoseInferencer', build)
    with pytest.raises(SystemExit, match='seen enough'):
        export.main(['diffpose_real', '--out', str(tmp_path / 'out')])
    assert seen == [('diffpose_real', 'shipped://diffpose-real')]
    with pytest.raises(SystemExit, match='no weights come with .*: give --checkpoint FILE'):
        export.main([str(CONFIG), '--out', str(tmp_path / 'out')])
    assert len(seen) == 1
