"""What the tools share: --data-root, options, errors in one line."""

import argparse
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from diffpose_mm.engine import CheckpointError, NonFiniteError
from diffpose_mm.engine.launch import (
    add_common_arguments,
    announced_end,
    check_clip_length,
    load_config,
    merge_cfg_options,
    one_line_errors,
    set_data_root,
)
from diffpose_mm.models import ClipNeck


def parse(*argv):
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_common_arguments(parser)
    return parser.parse_args(argv)


def test_data_root_reaches_every_path():
    """Broken if a run reads its images from one place and its annotations from another."""
    dataset = dict(data_root='data/a/', ann_file='annotations/x.json', bbox_file='data/a/b.json')
    cfg = Config(
        dict(
            data_root='data/a/',
            train_dataloader=dict(
                dataset=dict(type='ConcatDataset', datasets=[dict(dataset), dict(dataset)])
            ),
            val_dataloader=None,
            test_dataloader=dict(dataset=dict(dataset, other='data/abc/keep')),
            test_evaluator=[dict(ann_file='data/a/annotations/x.json', path=('data/a',))],
        )
    )
    set_data_root(cfg, '/mnt/b/')
    for part in (*cfg.train_dataloader.dataset.datasets, cfg.test_dataloader.dataset):
        assert part.data_root == '/mnt/b/'
        assert part.bbox_file == '/mnt/b/b.json'
        assert part.ann_file == 'annotations/x.json'
    assert cfg.test_dataloader.dataset.other == 'data/abc/keep'
    assert cfg.test_evaluator[0].ann_file == '/mnt/b/annotations/x.json'
    assert tuple(cfg.test_evaluator[0].path) == ('/mnt/b',)
    assert cfg.data_root == '/mnt/b/' and cfg.val_dataloader is None


def test_data_root_needs_one_to_replace():
    with pytest.raises(ValueError, match='no data_root'):
        set_data_root(Config(dict(model=dict())), 'x')


def test_options_reach_the_config(tmp_path):
    file = tmp_path / 'some.py'
    file.write_text(
        "default_hooks = dict(visualization=dict(type='PoseVisualizationHook', enable=False))\n"
        'model = dict(test_cfg=dict(sampling_steps=4))\n'
    )
    options = ['--cfg-options', 'model.test_cfg.sampling_steps=10']
    cfg = load_config(parse(str(file), '--show-dir', 'pictures', '--interval', '3', *options))
    assert cfg.work_dir == 'work_dirs/some'
    assert cfg.model.test_cfg.sampling_steps == 10
    hook = cfg.default_hooks.visualization
    # The hook nests a relative folder into itself, once a batch.
    assert hook.enable and hook.out_dir.startswith('/') and hook.out_dir.endswith('/pictures')
    assert hook.interval == 3


def test_missing_config():
    with pytest.raises(FileNotFoundError, match='config nowhere.py does not exist'):
        load_config(parse('nowhere.py'))


@pytest.mark.parametrize('error', [CheckpointError('x is wrong'), ValueError('x is wrong')])
def test_errors_become_one_line(error):
    with pytest.raises(SystemExit) as exit_info, one_line_errors(False):
        raise error
    assert exit_info.value.code == 'error: x is wrong'
    with pytest.raises(type(error)), one_line_errors(True):
        raise error


def test_bugs_stay_visible():
    """An error that the user cannot mend keeps its traceback."""
    with pytest.raises(ZeroDivisionError), one_line_errors(False):
        1 / 0  # noqa: B018


FROM_WORKER = (
    'Caught FileNotFoundError in DataLoader worker process 0.\nOriginal Traceback (most recent '
    'call last):\n  File "x.py", line 1, in y\nFileNotFoundError: the keyframe is gone'
)


@pytest.mark.parametrize(
    'error, message',
    [
        (OSError(28, 'No space left on device'), 'error: [Errno 28] No space left on device. '),
        (NonFiniteError('the loss is not finite'), 'error: the loss is not finite. '),
        (FileNotFoundError(FROM_WORKER), 'error: the keyframe is gone. '),
        (
            RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. '),
            'error: DataLoader worker (pid 7) is killed by signal: Killed. If the system ran out',
        ),
    ],
)
def test_an_early_end_says_why_and_how_to_go_on(error, message, tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/work/epoch_3.pth')
    with pytest.raises(SystemExit) as exit_info, announced_end(False, str(tmp_path)):
        raise error
    text = exit_info.value.code
    assert text.startswith(message) and '\n' not in text
    assert text.endswith('The last checkpoint is /work/epoch_3.pth; --resume goes on from there.')
    with pytest.raises(type(error)), announced_end(True, str(tmp_path)):
        raise error


def test_ctrl_c_is_one_line_and_status_130(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_info, announced_end(False, str(tmp_path)):
        raise KeyboardInterrupt
    assert exit_info.value.code == 130
    assert capsys.readouterr().err == 'interrupted. There is no checkpoint yet: start again.\n'


@pytest.mark.parametrize('error', [RuntimeError('shapes differ'), ValueError('no'), KeyError('x')])
def test_bugs_in_training_stay_visible(error, tmp_path):
    with pytest.raises(type(error)), announced_end(False, str(tmp_path)):
        raise error


@pytest.mark.parametrize('option', ['frame_offsets', 'codec.sigma', 'data_root'])
def test_an_option_that_changes_nothing_is_refused(option):
    """Broken if a run goes on with the old value where the user believes in the new one."""
    cfg = Config(dict(frame_offsets=(0,), codec=dict(sigma=2), data_root='a', model=dict()))
    with pytest.raises(ValueError, match=f'--cfg-options {option} changes nothing'):
        merge_cfg_options(cfg, {'model.x': 1, option: 3})
    merge_cfg_options(cfg, {'model.x': 1})
    assert cfg.model.x == 1


def test_an_option_of_a_misspelt_field_is_refused():
    """Broken if a typo changed nothing without a word."""
    with pytest.raises(ValueError, match='train_dataloder.* is train_dataloader meant'):
        merge_cfg_options(Config(dict(model=dict())), {'train_dataloder.batch_size': 3})
    with pytest.raises(ValueError, match='nobody reads sampling_steps'):
        merge_cfg_options(Config(dict(model=dict())), {'sampling_steps': 3})
    merge_cfg_options(Config(dict(model=dict())), {'find_unused_parameters': True, 'resume': True})


def test_shipped_configs_go_by_their_names():
    """Broken if train and test did not know the names that infer knows."""
    cfg = load_config(parse('diffpose'))
    assert cfg.work_dir == 'work_dirs/diffpose_posetrack18'
    assert load_config(parse('diffpose_synthetic')).work_dir == 'work_dirs/diffpose_synthetic'


def test_a_path_that_does_not_exist_is_no_name(tmp_path):
    """Broken if a run took the shipped config for the copy in a work directory that is gone."""
    with pytest.raises(FileNotFoundError, match='gone/diffpose_synthetic.py does not exist'):
        load_config(parse('gone/diffpose_synthetic.py'))


@pytest.mark.parametrize('by_epoch', [True, False])
def test_the_usual_form_of_train_cfg_goes_with_the_base(by_epoch, tmp_path):
    """Broken if a config on top of ours that says by_epoch ends in a traceback of mmengine."""
    config = tmp_path / 'mine.py'
    config.write_text(
        f"train_cfg = dict(type='ResumableTrainLoop', by_epoch={by_epoch}, max_epochs=2)"
    )
    if by_epoch:
        loop = load_config(parse(str(config))).train_cfg
        assert loop == dict(type='ResumableTrainLoop', max_epochs=2)
    else:
        with pytest.raises(ValueError, match='add _delete_=True to train_cfg'):
            load_config(parse(str(config)))


def clips(offsets):
    return SimpleNamespace(num_frames=len(offsets), frame_offsets=offsets)


def model_of(frames, keyframe):
    return SimpleNamespace(neck=ClipNeck(in_channels=1, num_frames=frames, keyframe_index=keyframe))


def test_clips_that_the_neck_merges_pass():
    check_clip_length(model_of(3, None), clips((-2, 0, 2)))
    check_clip_length(model_of(3, 2), clips((-2, -1, 0)))
    check_clip_length(SimpleNamespace(neck=None), clips((0,)))
    check_clip_length(model_of(3, None), SimpleNamespace())


@pytest.mark.parametrize(
    'wrap',
    [
        lambda d: d,
        lambda d: SimpleNamespace(datasets=[clips((-1, 0, 1)), d]),
        lambda d: SimpleNamespace(dataset=d),
    ],
)
@pytest.mark.parametrize(
    'offsets, message',
    [
        ((-1, 0), 'clips of 2 frames.*neck merges 3'),
        ((-2, -1, 0), r'frame 2 of the data set.*frame 1 of the neck.*keyframe_index=2'),
        ((0, 1, 2), r'frame 0 of the data set.*keyframe_index=0'),
    ],
)
def test_clips_of_another_length_or_keyframe_are_refused(offsets, message, wrap):
    """Broken if a causal data set trained a neck that takes the middle frame for the keyframe."""
    with pytest.raises(ValueError, match=message):
        check_clip_length(model_of(3, None), wrap(clips(offsets)))
