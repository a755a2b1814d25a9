"""A config that sets what changes nothing is refused; all others pass."""

import inspect
import os
import os.path as osp
import re
import subprocess
import sys
from pathlib import Path

import mmpose
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from diffpose_mm.config_variables import RUNNER_FIELDS, check_variables
from diffpose_mm.configs import find_config, read_config

BASE = """
frame_offsets = (-1, 0, 1)
codec = dict(type='A', input_size=(48, 64), sigma=2)
data_root = 'data/base/'
max_epochs = 60
unused = 1
pipeline = [dict(type='Load'), dict(type='Affine', input_size=codec['input_size'])]
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [dict(type='Cosine', T_max=max_epochs)]
model = dict(
    neck=dict(num_frames=len(frame_offsets)),
    backbone=dict(img_size=codec['input_size'][::-1]),
    head=dict(decoder=codec),
)
train_dataloader = dict(
    dataset=dict(
        frame_offsets=frame_offsets,
        ann_file=f'{data_root}train.json',
        pipeline=[*pipeline, dict(type='Target', encoder=codec)],
    )
)
val_dataloader = dict(
    dataset=dict(frame_offsets=frame_offsets, ann_file=f'{data_root}val.json', pipeline=pipeline)
)
test_dataloader = val_dataloader
"""


@pytest.fixture
def write(tmp_path):
    def write(text, base='base.py', name='mine.py'):
        (tmp_path / 'base.py').write_text(BASE)
        path = tmp_path / name
        path.write_text(f'_base_ = [{base!r}]\n{text}\n' if base else text)
        return str(path)

    return write


@pytest.mark.parametrize(
    'text, name, places',
    [
        ('frame_offsets = (-2, 0)', 'frame_offsets', 'model.neck.num_frames, train_dataloader'),
        ('codec = dict(sigma=3.0)', 'codec', 'model.head.decoder.sigma, train_dataloader'),
        ('codec = dict(gain=1)', 'codec', 'model.head.decoder.gain'),
        ('_base_.codec.sigma = 3.0', 'codec', 'model.head.decoder.sigma'),
        ("_base_.codec.update(type='B')", 'codec', 'model.head.decoder.type'),
        ("data_root = 'data/mine/'", 'data_root', 'train_dataloader.dataset.ann_file'),
        ('max_epochs = 20', 'max_epochs', 'train_cfg.max_epochs, param_scheduler.0.T_max'),
        ("pipeline = [dict(type='Load')]", 'pipeline', 'train_dataloader.dataset.pipeline'),
        # Used, but not wherever the model needs it to be.
        (
            'codec = dict(sigma=3.0)\nmodel = dict(head=dict(decoder=codec))',
            'codec',
            'are still train_dataloader.dataset.pipeline.2.encoder.sigma:',
        ),
        (
            'frame_offsets = (-2, 0, 2)\n'
            'train_dataloader = dict(dataset=dict(frame_offsets=frame_offsets))',
            'frame_offsets',
            'are still val_dataloader.dataset.frame_offsets, test_dataloader.dataset.frame_offsets',
        ),
    ],
)
def test_a_setting_that_changes_nothing_is_refused(text, name, places, write):
    """Broken if a run went on with the base's value where the user believes in a new one."""
    path = write(text)
    with pytest.raises(ValueError) as error:
        check_variables(path)
    message = str(error.value)
    assert message.startswith(f'config {path} sets {name}, which changes nothing by itself')
    assert places in message and '\n' not in message


EVERYWHERE = """
frame_offsets = (-2, -1)
model = dict(neck=dict(num_frames=2))
train_dataloader = dict(dataset=dict(frame_offsets=frame_offsets))
val_dataloader = dict(dataset=dict(frame_offsets=(-2, -1)))
test_dataloader = val_dataloader
"""


@pytest.mark.parametrize(
    'text',
    [
        '',
        'unused = 2',
        'another = 2',
        'frame_offsets = (-1, 0, 1)',
        'frame_offsets = _base_.frame_offsets',
        EVERYWHERE,
        # Training on other data than those of the test is a choice.
        "data_root = 'data/mine/'\n"
        "train_dataloader = dict(dataset=dict(ann_file=data_root + 'train.json'))",
        "data_root = 'data/mine/'\n"
        "val_evaluator = dict(type='Mine', ann_file=data_root + 'mine.json')",
        # The base's places are no longer there.
        'codec = dict(sigma=3.0)\n'
        "model = dict(head=dict(_delete_=True, type='Other'))\n"
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='Load')]))",
        # The base cannot be read with this value, so that it says nothing about it.
        'frame_offsets = None',
        # What mmengine reads of a config is no variable.
        "val_dataloader = dict(dataset=dict(ann_file='mine.json'))",
        "work_dir = 'x'\nload_from = 'y.pth'",
    ],
)
def test_settings_that_are_used_pass(text, write):
    """Broken if a config that is right were refused."""
    check_variables(write(text))


def test_the_fields_of_the_runner():
    """Broken if mmengine came to read a field that is refused here as one nobody reads."""
    fields = set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}
    read = set(re.findall(r"self\.cfg\.get\(\s*'(\w+)'", inspect.getsource(Runner)))
    assert len(fields) > 20 and len(read) > 3
    assert fields | read <= RUNNER_FIELDS


def test_the_fault_of_a_base_is_found_and_named(write):
    """Broken if only the last file of a chain were looked at."""
    middle = write('max_epochs = 20', name='middle.py')
    with pytest.raises(ValueError, match=f'config {middle} sets max_epochs'):
        check_variables(write('unused = 2', base='middle.py'))


def test_a_variable_is_followed_through_all_bases(write):
    """Broken if a base between, which sets and uses it too, hid the places of the first one."""
    write(EVERYWHERE, name='middle.py')
    with pytest.raises(ValueError, match='model.neck.num_frames|train_dataloader') as error:
        check_variables(write('frame_offsets = (-4, -2, 0)', base='middle.py'))
    assert 'mine.py sets frame_offsets' in str(error.value)


@pytest.mark.parametrize('ending', ['json', 'yaml'])
def test_a_config_of_another_format(ending, write):
    path = write(
        dict(
            json='{"_base_": ["base.py"], "max_epochs": 20}',
            yaml='_base_: [base.py]\nmax_epochs: 20\n',
        )[ending],
        base=None,
        name=f'mine.{ending}',
    )
    with pytest.raises(ValueError, match='sets max_epochs'):
        check_variables(path)


def test_a_dumped_config_passes(write, tmp_path):
    """Broken if the copy in a work directory, which has no bases, could not be read again."""
    cfg = Config.fromfile(write(EVERYWHERE))
    cfg.train_dataloader.dataset.frame_offsets = (-1, 0)  # by --cfg-options, say
    cfg.dump(str(tmp_path / 'dumped.py'))
    check_variables(str(tmp_path / 'dumped.py'))


def test_predefined_variables_of_mmengine(write, tmp_path):
    """Broken if the copies in which variables are exchanged forgot where they come from."""
    base = BASE + "work_dir = '{{ fileDirname }}/{{fileBasenameNoExtension}}'\n"
    (tmp_path / 'templated.py').write_text(base)
    check_variables(write(EVERYWHERE, base='templated.py'))
    with pytest.raises(ValueError, match='sets max_epochs'):
        check_variables(write('max_epochs = 20', base='{{ fileDirname }}/templated.py'))


def test_bases_in_other_packages(write):
    """Broken if a config on top of MMPose's could not be read, or mmengine's names were lost."""
    path = write(
        "param_scheduler = [dict(type='Cosine', T_max=3)]\nmax_epochs = 3",
        base='mmpose::_base_/default_runtime.py',
    )
    assert read_config(path).default_scope == 'mmpose'


def test_configs_of_mmpose_pass():
    """Broken if configs that a user brings from MMPose were refused without need."""
    folder = Path(mmpose.__file__).parent / '.mim/configs'
    configs = sorted(folder.glob('body_2d_keypoint/topdown_heatmap/**/*.py'))[::12]
    assert len(configs) > 5
    for path in configs:
        check_variables(str(path))


@pytest.mark.parametrize(
    'text',
    [
        'frame_offsets = (-1, 0, 1)\ncodec = dict(sigma=3.0)',
        'frame_offsets = (-4, -2, 0)',
        'train_pipeline = []',
        'max_epochs = 3',
        'num_keypoints = 5',
    ],
)
def test_children_of_shipped_configs(text, tmp_path):
    """The case of the review: codec and frame_offsets on top of the synthetic config."""
    path = tmp_path / 'mine.py'
    path.write_text(f'_base_ = [{find_config("diffpose_synthetic")!r}]\n{text}\n')
    with pytest.raises(ValueError, match='changes nothing by itself'):
        read_config(path)


def test_imports_of_a_child_add_to_those_of_its_bases(tmp_path, monkeypatch):
    """Broken if a list of one's own took the package's name out of the config."""
    (tmp_path / 'my_neck.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / 'mine.py'
    path.write_text(
        f'_base_ = [{find_config("diffpose_synthetic")!r}]\n'
        "custom_imports = dict(imports=['my_neck'])\n"
    )
    assert read_config(path).custom_imports.imports == ['diffpose_mm', 'my_neck']
    assert 'my_neck' in sys.modules
    path.write_text(path.read_text().replace('my_neck', 'no_such_neck'))
    with pytest.raises(ImportError, match='mine.py: custom_imports.*no_such_neck.*PYTHONPATH'):
        read_config(path)


def test_mmengine_itself_does_not_lose_the_package(tmp_path):
    """Broken if a child with imports of its own ended in "not in the registry" with MMPose's tools.

    mmengine replaces the list, so the base imports the package while it is read.
    """
    (tmp_path / 'my_neck.py').write_text('')
    (tmp_path / 'mine.py').write_text(
        f'_base_ = [{find_config("diffpose_synthetic")!r}]\n'
        "custom_imports = dict(imports=['my_neck'])\n"
    )
    code = (
        'from mmengine.config import Config\n'
        'from mmpose.registry import MODELS\n'
        "cfg = Config.fromfile('mine.py')\n"
        'assert MODELS.get(cfg.model.type) is not None\n'
        "assert not [name for name in cfg if 'diffpose' in name], list(cfg)\n"
    )
    root = osp.dirname(osp.dirname(osp.abspath(__file__)))
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': osp.pathsep.join([root, str(tmp_path)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
