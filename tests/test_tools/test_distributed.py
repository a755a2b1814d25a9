"""Two processes: tested, they give the numbers of one; trained, its weights."""

import importlib
import json
import multiprocessing
import os
import pickle
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from tools_helpers import CONFIG, arguments

from diffpose_mm.synthetic import synthesize
from diffpose_mm.tools import cache_features, test, train

CHECKPOINT = Path(__file__).parents[2] / 'projects/demo/checkpoints/diffpose_synthetic.pth'
# Every sort of output, on a number of samples that two do not divide. Matrix products round by the
# size of a batch, of which the last one is another in two processes: here all are of one sample.
SCORED = """
_base_ = [{config!r}]
test_dataloader = dict(batch_size=1, dataset=dict(indices=15))
model = dict(test_cfg=dict(num_hypotheses=2))
test_evaluator = [
    dict(type='PoseTrackAP', outfile_prefix={folder!r} + '/submission/any'),
    dict(type='HypothesisQuality')]
"""
# As the shipped config, but that nothing is random except what the head draws: augmentation follows
# from a loader's own seed, and statistics over a batch are those of half of it.
SAME = """
_base_ = [{config!r}]
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=(96, 128), use_udp=True),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackClipInputs'),
]
model = dict(backbone=dict(norm_eval=True))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline))
param_scheduler = None
optim_wrapper = dict(optimizer=dict(lr=2e-4))
"""


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    """Root of a synthetic data set, on which the shipped checkpoint scores well."""
    root = tmp_path_factory.mktemp('drawn') / 'set'
    synthesize(root, train_videos=2, val_videos=2, frames=5, seed=2)
    return root


@pytest.fixture(autouse=True)
def one_thread():
    """As many as each of the two processes has: several threads round sums differently."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def process(rank, port, tool, argv, file, in_group):
    """One of two processes, as torch starts them; keeps what the tool returns and logs."""
    environ = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=2, MASTER_ADDR='localhost')
    os.environ.update({key: str(value) for key, value in dict(environ, MASTER_PORT=port).items()})
    torch.set_num_threads(1)
    main = importlib.import_module(f'diffpose_mm.tools.{tool}').main
    if in_group:
        torch.distributed.init_process_group('gloo')
        with pytest.raises(SystemExit, match='one of 2 of a torch.distributed group.*--launcher'):
            main(argv)
    returned = main([*argv, '--launcher', 'pytorch'])
    Path(f'{file}.{rank}').write_bytes(pickle.dumps((returned, losses())))


def losses():
    scalars = MessageHub.get_current_instance().log_scalars
    return scalars['train/loss'].data[0] if 'train/loss' in scalars else None


@pytest.fixture(scope='module')
def run_two(tmp_path_factory):
    """Runs a tool in two processes; returns for each what it returned and its losses."""
    context = multiprocessing.get_context('forkserver')
    # Not this module: the server has no path to it, and would import nothing without a word.
    context.set_forkserver_preload([train.__name__, test.__name__, cache_features.__name__])

    def run(tool, argv, in_group=False):
        with socket.socket() as free:
            free.bind(('localhost', 0))
            port = free.getsockname()[1]
        file = tmp_path_factory.mktemp('two') / 'returned'
        processes = [
            context.Process(target=process, args=(rank, port, tool, argv, file, in_group))
            for rank in range(2)
        ]
        for one in processes:
            one.start()
        for one in processes:
            one.join()
        assert [one.exitcode for one in processes] == [0, 0]
        return [pickle.loads(Path(f'{file}.{rank}').read_bytes()) for rank in range(2)]

    return run


def half_batches(config, drawn, folder, processes):
    """Command line of a training in which all processes together see batches of 4."""
    return arguments(
        config, '--no-validate', data_root=drawn, work_dir=folder,
        options=[f'train_dataloader.batch_size={4 // processes}', 'train_cfg.max_epochs=2'],
    )  # fmt: skip


@pytest.fixture(scope='module')
def trained_alone(drawn, tmp_path_factory):
    """Config of a training, and the losses and weights that one process gets."""
    folder = tmp_path_factory.mktemp('alone')
    config = folder / 'same.py'
    config.write_text(SAME.format(config=os.path.abspath(CONFIG)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train.main(half_batches(config, drawn, folder / '1', 1))
    torch.set_num_threads(threads)
    return config, losses(), torch.load(folder / '1/epoch_2.pth')['state_dict']


def test_two_processes_score_as_one(drawn, run_two, tmp_path):
    """Broken if a sample were lost, or one that pads the shorter part counted twice."""
    found = {}
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        config = folder / 'scored.py'
        config.write_text(SCORED.format(config=os.path.abspath(CONFIG), folder=str(folder)))
        argv = arguments(
            config, CHECKPOINT, '--dump', folder / 'all.pkl', '--out', folder / 'ap.json',
            '--show-dir', folder / 'pictures', data_root=drawn, work_dir=folder,
        )  # fmt: skip
        if number == 1:
            metrics = test.main(argv)
        else:
            (metrics, _), (other, _) = run_two('test', argv)
            assert metrics == other
        files = {
            str(path.relative_to(folder)): path.read_bytes()
            for name in ('submission', 'pictures')
            for path in (folder / name).iterdir()
        }
        dumped = pickle.loads((folder / 'all.pkl').read_bytes())
        assert json.loads((folder / 'ap.json').read_text()) == metrics
        found[number] = metrics, files, [(one['img_id'], one['id']) for one in dumped]
    assert found[1] == found[2]
    metrics, files, samples = found[1]
    assert metrics['posetrack/AP'] > 20 and 20 < metrics['hypotheses/mean PCK'] < 100
    assert len(set(samples)) == 15
    assert sum(name.endswith('.json') for name in files) == 2
    assert sum(name.endswith('.jpg') for name in files) == 15


@pytest.mark.parametrize('in_group', [False, True])
def test_two_processes_with_half_the_batch_train_as_one(
    drawn, run_two, trained_alone, in_group, tmp_path
):
    """Broken if processes share noise, weigh their samples unequally or see each other's.

    Or if processes that are a group already (Ray Train) train models of their own: without a
    launcher that is refused, with one the group is joined.
    """
    config, alone, weights = trained_alone
    (_, first), (_, second) = run_two('train', half_batches(config, drawn, tmp_path, 2), in_group)
    assert not np.allclose(first, second, rtol=0.01)
    assert len(alone) >= 10
    np.testing.assert_allclose((first + second) / 2, alone, rtol=1e-4)
    for key, value in torch.load(tmp_path / 'epoch_2.pth')['state_dict'].items():
        torch.testing.assert_close(value, weights[key], rtol=0, atol=1e-4)


def test_two_processes_keep_the_features_of_one(drawn, run_two, tmp_path):
    """Broken if a view depends on the process that draws it, or a shard is left out."""
    found = {}
    for number in (1, 2):
        folder = tmp_path / str(number)
        argv = [
            CONFIG, '--checkpoint', str(CHECKPOINT), '--out', str(folder), '--views', '2',
            '--data-root', str(drawn), '--batch-size', '1', '--num-workers', '0',
        ]  # fmt: skip
        views = [cache_features.main(argv)] if number == 1 else [x for x, _ in run_two(
            'cache_features', argv)]  # fmt: skip
        assert {cache.views for cache in views} == {2}
        found[number] = {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('view-*/*')
        }
    assert found[1] == found[2] and len(found[1]) == 4
