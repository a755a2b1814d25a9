"""Training from the command line: from scratch, on from a checkpoint, and what may go wrong."""

import json
import os.path as osp
import re
import shutil

import pytest
import torch
from mmengine.runner import Runner
from tools_helpers import CONFIG, CONFIG_DIR, arguments

from diffpose_mm.engine import BFloat16OptimWrapper, CheckpointError, read_checkpoint
from diffpose_mm.engine.launch import load_config
from diffpose_mm.tools import train


def log_of(work_dir):
    """Entries of the newest log."""
    newest = sorted(work_dir.glob('*/vis_data/scalars.json'))[-1]
    return [json.loads(line) for line in newest.read_text().splitlines()]


def test_trains_validates_and_keeps_the_best(trained):
    """Broken if mim train leaves no checkpoint, or save_best does not know the metric's key."""
    checkpoint = read_checkpoint(str(trained / 'epoch_1.pth'))
    assert checkpoint['meta']['epoch'] == 1 and checkpoint['meta']['iter'] == 3
    assert checkpoint['ema_state_dict']['steps'] == 3
    assert list(trained.glob('best_posetrack_AP_epoch_1.pth'))
    assert sum('loss' in entry for entry in log_of(trained)) == 3
    assert any('posetrack/AP' in entry for entry in log_of(trained))
    text = next(trained.glob('*/*.log')).read_text()
    assert 'files decoded for a sample' in text


def test_goes_on_from_the_latest_checkpoint(trained, tiny_posetrack, tmp_path):
    """Broken if a resumed run starts anew, or forgets optimiser, averaged weights or schedule."""
    for name in ('epoch_1.pth', 'last_checkpoint'):
        shutil.copy(trained / name, tmp_path)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    options = ['train_cfg.max_epochs=2', 'train_cfg.val_interval=2']
    common = dict(data_root=tiny_posetrack, work_dir=tmp_path, options=options)
    train.main(arguments(CONFIG, '--resume', '--no-validate', **common))
    before = read_checkpoint(str(tmp_path / 'epoch_1.pth'))
    after = read_checkpoint(str(tmp_path / 'epoch_2.pth'))
    assert after['meta']['iter'] == 6 and after['ema_state_dict']['steps'] == 6
    assert after['optimizer']['state'][0]['step'] == 6
    losses, rates = (
        after['message_hub']['log_scalars'][key].data[0] for key in ('train/loss', 'train/lr')
    )
    # The rate rises, as this is in the middle of the warm-up.
    assert len(losses) == 6 and (rates[1:] > rates[:-1]).all()
    first = before['message_hub']['log_scalars']['train/loss'].data[0]
    assert losses[:3].tolist() == first.tolist()
    # The averaged weights are the ones to be tested; the ones in training stand beside them.
    key = 'backbone.conv1.weight'
    assert not torch.equal(before['state_dict'][key], after['state_dict'][key])
    assert not torch.equal(after['state_dict'][key], after['ema_state_dict'][f'module.{key}'])


def merged(*argv):
    args = train.parse_args([CONFIG, *argv])
    return train.merge_args(load_config(args), args)


def test_amp_on_the_cpu_is_bfloat16(monkeypatch):
    """mmengine's AmpOptimWrapper refuses to start without an accelerator."""
    monkeypatch.setattr(train, 'get_device', lambda: 'cpu')
    assert merged('--amp').optim_wrapper.type == BFloat16OptimWrapper.__name__
    monkeypatch.setattr(train, 'get_device', lambda: 'cuda')
    cfg = merged('--amp')
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'
    with pytest.raises(ValueError, match='ApexOptimWrapper'):
        merged('--amp', '--cfg-options', 'optim_wrapper.type=ApexOptimWrapper')


def test_mmposes_own_head_trains_with_amp_on_the_cpu(tiny_posetrack, tmp_path, monkeypatch):
    """Broken if a config with mmpose's HeatmapHead ended in "unsupported ScalarType BFloat16"."""
    monkeypatch.setattr(train, 'get_device', lambda: 'cpu')
    config = osp.join(CONFIG_DIR, 'strl_synthetic.py')
    options = ['model.head.type=HeatmapHead', 'train_cfg.max_epochs=1']
    common = dict(data_root=tiny_posetrack, work_dir=tmp_path, options=options)
    train.main(arguments(config, '--amp', '--no-validate', **common))
    assert 'acc_pose' in log_of(tmp_path)[0]


def test_other_options():
    """Broken if an option does not reach the config."""
    cfg = merged('--no-validate', '--auto-scale-lr', '--resume', 'some.pth')
    assert cfg.val_cfg is None and cfg.val_dataloader is None and cfg.val_evaluator is None
    assert 'save_best' not in cfg.default_hooks.checkpoint
    assert cfg.auto_scale_lr.enable is True
    assert cfg.resume and cfg.load_from == 'some.pth'
    assert merged('--resume').resume
    assert not merged().get('resume')


@pytest.mark.parametrize(
    'options, message',
    [
        (['train_dataloader.dataset.ann_file=none.json'], 'none.json does not exist'),
        (['load_from=none.pth'], 'none.pth does not exist'),
        (['train_dataloader.dataset.frame_offsets="(-2,-1)"'], 'keyframe outside the clip'),
        (['model.neck.feature_size="(12,16)"'], 'heatmap_size'),
        (['model.head.decoder.heatmap_size="(48,64)"'], 'heatmap_size'),
        (['model.test_cfg.sampling_steps=1001'], 'sampling_steps'),
        (['model.test_cfg.num_hypotheses=0'], 'num_hypotheses'),
        (['train_dataloader.dataset.indices=0'], 'is empty'),
        (['model.neck.num_frames=0'], 'num_frames'),
        (['model.neck.num_frames=7'], 'neck merges 7'),
    ],
)
def test_bad_input_is_told_in_one_line(options, message, tiny_posetrack, tmp_path):
    """One message before anything runs, and no traceback."""
    with pytest.raises(SystemExit) as exit_info:
        train.main(arguments(CONFIG, data_root=tiny_posetrack, work_dir=tmp_path, options=options))
    text = exit_info.value.code
    assert text.startswith('error: ') and message in text and '\n' not in text, text


def renamed(checkpoint, folder, rename):
    """A checkpoint with other names of its weights."""
    weights = torch.load(checkpoint)['state_dict']
    path = folder / 'renamed.pth'
    weights = {rename(key): value for key, value in weights.items()}
    torch.save(dict(state_dict=weights), path)
    return path


def in_other_words(key):
    return f'net.{key}'


def other_layers(key):
    return key.replace('.layer1.', '.block1.')


STARTS = {
    'load_from': lambda path: f'load_from = {str(path)!r}\n',
    'init_cfg': lambda path: (
        "model = dict(backbone=dict(init_cfg=dict(_delete_=True, type='Pretrained', "
        f"prefix='backbone.', checkpoint={str(path)!r})))\n"
    ),
}


def start_config(kind, path, folder):
    config = folder / 'start.py'
    config.write_text(
        f'_base_ = [{osp.abspath(CONFIG)!r}]\n'
        f'{STARTS[kind](path)}train_cfg = dict(max_epochs=1, val_interval=5)\n'
    )
    return config


@pytest.mark.parametrize('kind', STARTS)
@pytest.mark.parametrize(
    'rename, message',
    [
        (in_other_words, r"0 of 200 weights taken|no name begins with 'backbone.'"),
        (other_layers, r'only in the model .*layer1'),
    ],
)
def test_a_start_from_other_weights_is_refused(
    kind, rename, message, trained, tiny_posetrack, tmp_path
):
    """Broken if a training began from random weights, or half of them, with exit status 0."""
    path = renamed(trained / 'epoch_1.pth', tmp_path, rename)
    config = start_config(kind, path, tmp_path)
    with pytest.raises(SystemExit) as exit_info:
        train.main(arguments(config, '--no-validate', data_root=tiny_posetrack, work_dir=tmp_path))
    text = exit_info.value.code
    assert text.startswith('error: weights ') and 'renamed.pth' in text
    assert re.search(f'(?s){message}', text), text
    assert not list(tmp_path.glob('epoch_*.pth'))


@pytest.mark.parametrize('kind', STARTS)
def test_any_runner_refuses_a_start_from_other_weights(kind, trained, tiny_posetrack, tmp_path):
    """Broken if `mim train mmpose OUR_CONFIG` began from random weights."""
    path = renamed(trained / 'epoch_1.pth', tmp_path, other_layers)
    config = start_config(kind, path, tmp_path)
    args = train.parse_args(arguments(config, data_root=tiny_posetrack, work_dir=tmp_path / 'run'))
    runner = Runner.from_cfg(load_config(args))
    with pytest.raises(CheckpointError, match='(?s)only in the model .*layer1'):
        runner.train()


@pytest.mark.parametrize('kind', STARTS)
def test_a_start_from_a_part_is_taken_where_that_is_said(kind, trained, tiny_posetrack, tmp_path):
    """--allow-partial, and the log says how many."""
    path = renamed(trained / 'epoch_1.pth', tmp_path, other_layers)
    config = start_config(kind, path, tmp_path)
    train.main(
        arguments(config, '--no-validate', '--allow-partial', data_root=tiny_posetrack,
                  work_dir=tmp_path)
    )  # fmt: skip
    text = next(tmp_path.rglob('*.log')).read_text()
    assert re.search(r'WARNING - model.*: \d+ of \d+ weights taken', text)
    assert (tmp_path / 'epoch_1.pth').exists()


def test_a_start_with_other_keypoints(trained, tiny_posetrack, tmp_path):
    """Broken if the layers of the keypoints could not be left at their start."""
    path = tmp_path / 'other.pth'
    weights = torch.load(trained / 'epoch_1.pth')['state_dict']
    last = [key for key, value in weights.items() if 17 in value.shape and key.startswith('head')]
    assert last
    torch.save({k: v[:15] if k in last and len(v) == 17 else v for k, v in weights.items()}, path)
    config = start_config('load_from', path, tmp_path)
    common = dict(data_root=tiny_posetrack, work_dir=tmp_path / 'run')
    with pytest.raises(SystemExit, match='--reinit head') as error:
        train.main(arguments(config, '--no-validate', **common))
    asked = re.search(r'--reinit ([^;]+);', error.value.code).group(1).split()
    train.main(arguments(config, '--no-validate', '--reinit', *asked, '--traceback', **common))
    text = max(tmp_path.rglob('*.log'), key=osp.getmtime).read_text()
    assert f'started anew: {", ".join(asked)}' in text


def test_another_metric_than_the_evaluators_is_told_in_one_line(tiny_posetrack, tmp_path):
    """Broken if a child with an evaluator of its own ended in a KeyError after the validation."""
    config = tmp_path / 'mine.py'
    config.write_text(
        f'_base_ = [{osp.abspath(CONFIG)!r}]\n'
        "default_hooks = dict(checkpoint=dict(save_best='posetrack/AP'))\n"
        "val_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.2)\n"
        'train_cfg = dict(max_epochs=1, val_interval=1)\n'
    )
    with pytest.raises(SystemExit) as exit_info:
        train.main(arguments(config, data_root=tiny_posetrack, work_dir=tmp_path))
    text = exit_info.value.code
    assert "save_best='posetrack/AP' is no metric of the validation, which gives PCK" in text
    assert 'The last checkpoint is' in text and '\n' not in text


def test_where_a_training_goes_on(trained, tmp_path):
    """Killed before the first checkpoint, it starts again, from the weights it started from."""
    start = ['--cfg-options', 'load_from=weights.pth']
    cases = [
        (['--resume', '--work-dir', str(tmp_path), *start], False, 'weights.pth'),
        (['--resume', '--work-dir', str(trained), *start], True, str(trained / 'epoch_1.pth')),
        (['--resume', 'mine.pth', '--work-dir', str(trained)], True, 'mine.pth'),
        (['--work-dir', str(trained), *start], False, 'weights.pth'),
    ]
    for argv, resume, path in cases:
        args = train.parse_args([CONFIG, *argv])
        cfg = train.merge_args(load_config(args), args)
        train.find_start(cfg, args)
        assert (cfg.get('resume'), cfg.load_from) == (resume, path)


def test_cannot_resume_from_a_broken_checkpoint(trained, tiny_posetrack, tmp_path):
    """A run that was killed while it saved leaves a short file behind."""
    data = (trained / 'epoch_1.pth').read_bytes()
    short = tmp_path / 'epoch_1.pth'
    short.write_bytes(data[: len(data) // 2])
    (tmp_path / 'last_checkpoint').write_text(str(short))
    with pytest.raises(SystemExit, match='error: checkpoint .*epoch_1.pth .*cut short'):
        train.main(arguments(CONFIG, '--resume', data_root=tiny_posetrack, work_dir=tmp_path))
