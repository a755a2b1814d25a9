"""Features kept by the command line, and trained on: resumed to the bit, whole checkpoints."""

import shutil

import pytest
import torch
from tools_helpers import CONFIG, arguments

from diffpose_mm.engine import read_checkpoint
from diffpose_mm.feature_cache import FeatureCache
from diffpose_mm.tools import cache_features, test, train
from diffpose_mm.visualization import ClipPoseVisualizer


@pytest.fixture(scope='module')
def kept(tmp_path_factory, trained, tiny_posetrack):
    """Folder of two views by the backbone of the trained model; not to be written to."""
    folder = tmp_path_factory.mktemp('kept') / 'features'
    cache_features.main(command(trained, tiny_posetrack, folder))
    return folder


def command(trained, data_root, folder, *more):
    checkpoint = str(trained / 'epoch_1.pth')
    return [
        CONFIG, '--checkpoint', checkpoint, '--out', str(folder), '--data-root',
        str(data_root), '--batch-size', '4', '--num-workers', '0', *more,
    ]  # fmt: skip


def training(*argv, data_root, work_dir, options=()):
    ClipPoseVisualizer._instance_dict.clear()
    options = ['train_cfg.max_epochs=2', *options]
    train.main(
        arguments(CONFIG, '--no-validate', *argv, data_root=data_root, work_dir=work_dir,
                  options=options)
    )  # fmt: skip
    return read_checkpoint((work_dir / 'last_checkpoint').read_text())


def same_weights(a, b):
    return all(torch.equal(value, b['state_dict'][key]) for key, value in a['state_dict'].items())


def test_trains_on_kept_features_and_resumes_to_the_bit(trained, kept, tiny_posetrack, tmp_path):
    """Broken if a resumed run shows other views, if the backbone moves, or if the checkpoint is not
    the whole model's, which can be tested without anything else."""
    start = str(trained / 'epoch_1.pth')
    common = dict(data_root=tiny_posetrack, options=[f'load_from={start}'])
    whole = training('--features', kept, work_dir=tmp_path / 'whole', **common)
    other = tmp_path / 'resumed'
    other.mkdir()
    for name in ('epoch_1.pth', 'last_checkpoint'):
        shutil.copy(tmp_path / 'whole' / name, other)
    (other / 'last_checkpoint').write_text(str(other / 'epoch_1.pth'))
    resumed = training('--features', kept, '--resume', work_dir=other, data_root=tiny_posetrack)
    assert same_weights(whole, resumed)
    weights = read_checkpoint(start)['state_dict']
    assert whole['state_dict'].keys() == weights.keys()
    moved = [k for k, v in weights.items() if not torch.equal(v, whole['state_dict'][k])]
    assert moved and not any(key.startswith('backbone.') for key in moved)
    groups = whole['optimizer']['param_groups']
    # The optimiser holds neck and head alone.
    assert len(groups[0]['params']) == sum(
        key.startswith(('neck.', 'head.')) and 'running_' not in key for key in weights
    )
    ClipPoseVisualizer._instance_dict.clear()
    metrics = test.main(
        arguments(CONFIG, other / 'epoch_2.pth', data_root=tiny_posetrack, work_dir=tmp_path / 't')
    )
    assert 'posetrack/AP' in metrics


def test_trains_in_mixed_precision(trained, kept, tiny_posetrack, tmp_path):
    """Broken if --amp met features of float16, which torch's mixed precision on a CPU refuses."""
    start = [f'load_from={trained / "epoch_1.pth"}']
    found = training(
        '--features', kept, '--amp', data_root=tiny_posetrack, work_dir=tmp_path, options=start
    )
    assert all(torch.isfinite(value).all() for value in found['state_dict'].values())


def test_without_weights_to_start_from_the_kept_backbone_is_used(
    kept, trained, tiny_posetrack, tmp_path
):
    """Broken if neck and head are trained for a backbone that the checkpoint does not hold."""
    found = training('--features', kept, data_root=tiny_posetrack, work_dir=tmp_path)
    weights = read_checkpoint(str(trained / 'epoch_1.pth'))['state_dict']
    for key, value in found['state_dict'].items():
        if key.startswith('backbone.') and not key.endswith('num_batches_tracked'):
            assert torch.equal(value, weights[key]), key


def test_the_same_command_again_writes_nothing(kept, trained, tiny_posetrack, capsys):
    """Broken if an hour's work is done twice, or --check does not read what is there."""
    times = {file: file.stat().st_mtime_ns for file in kept.rglob('view-*/*')}
    assert cache_features.main(command(trained, tiny_posetrack, kept)).views == 2
    assert times == {file: file.stat().st_mtime_ns for file in kept.rglob('view-*/*')}
    cache_features.main([CONFIG, '--out', str(kept), '--check'])
    assert f'2 views of {FeatureCache(kept).samples} samples are whole' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--views', '0'], '--views 0 has to be at least 1'),
        (['--seed', '-1'], 'cannot be negative'),
        (['--seed', '1'], 'seed: 0 then, 1 now'),
        (['--checkpoint', 'nowhere.pth'], 'does not exist'),
        (['--cfg-options', 'train_dataloader.dataset.pipeline.3.rotate_factor=1'], 'rotate_factor'),
    ],
)
def test_what_is_wrong_is_one_line(kept, trained, tiny_posetrack, more, message):
    """Broken if a mistake ends in a traceback, or overwrites features."""
    with pytest.raises(SystemExit, match=message) as error:
        cache_features.main(command(trained, tiny_posetrack, kept, *more))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['train_cfg.features={kept}'], 'trains its backbone'),
        (['train_cfg.features={kept}/no', 'model.freeze_backbone=True'], 'holds no kept features'),
        (
            ['train_cfg.features={kept}', 'model.freeze_backbone=True', 'load_from={other}'],
            'of another backbone',
        ),
    ],
)
def test_training_that_cannot_be_is_refused(
    kept, trained, tiny_posetrack, tmp_path, options, message
):
    """Broken if training runs on features of another backbone, or of one that moves."""
    other = read_checkpoint(str(trained / 'epoch_1.pth'))['state_dict']
    other['backbone.conv1.weight'] = other['backbone.conv1.weight'] + 1
    torch.save(dict(state_dict=other), tmp_path / 'other.pth')
    options = [option.format(kept=kept, other=tmp_path / 'other.pth') for option in options]
    with pytest.raises(SystemExit, match=message) as error:
        training(data_root=tiny_posetrack, work_dir=tmp_path, options=options)
    assert '\n' not in str(error.value)
