"""A checkpoint with code in it is refused at every door, and nothing of it runs.

What is allowed instead of code is enough for every sort of checkpoint, and no more than that.
"""

import importlib.util
import os
import pickle
import re
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.utils import get_installed_path
from mmpose.apis import MMPoseInferencer
from tools_helpers import CONFIG, arguments

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.datasets import PoseTrack18ClipDataset
from diffpose_mm.engine import read_checkpoint
from diffpose_mm.evaluation.sweep import Sweep
from diffpose_mm.loading import safe_globals
from diffpose_mm.tools import detect_persons, hypotheses, infer, test, train

RTMDET = f'{get_installed_path("mmdet")}/.mim/configs/rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
PRETRAINED = """
_base_ = [{config!r}]
model = dict(backbone=dict(init_cfg=dict(_delete_=True, type='Pretrained', checkpoint={path!r})))
"""


class Payload:
    """Makes a file when it is unpickled the ordinary way."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.system, (f'touch {self.mark}',)


@pytest.fixture
def armed(trained, tmp_path):
    """A training checkpoint with a payload among its weights, and the file that it would make."""
    mark, path = tmp_path / 'mark', tmp_path / 'armed' / 'epoch_1.pth'
    checkpoint = torch.load(trained / 'epoch_1.pth')
    checkpoint['state_dict']['hook'] = Payload(mark)
    path.parent.mkdir()
    torch.save(checkpoint, path)
    torch.load(path, weights_only=False)
    assert mark.exists(), 'the payload is a dud, and the test would prove nothing'
    mark.unlink()
    return path, mark


def publish(path, folder):
    root = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location('publish', root / 'projects/demo/publish.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.publish(str(path), str(folder / 'published.pth'))
    return folder / 'published.pth'


def resume_latest(path, root, folder):
    (path.parent / 'last_checkpoint').write_text(str(path))
    train.main(arguments(CONFIG, '--resume', data_root=root, work_dir=path.parent))


def train_from(path, root, folder):
    options = [f'load_from={path}']
    train.main(arguments(CONFIG, data_root=root, work_dir=folder, options=options))


def train_from_a_backbone(path, root, folder):
    config = folder / 'pretrained.py'
    config.write_text(PRETRAINED.format(config=os.path.abspath(CONFIG), path=str(path)))
    train.main(arguments(config, data_root=root, work_dir=folder))


def infer_with(folder, *more):
    cv2.imwrite(str(folder / 'frame.jpg'), np.zeros((64, 48, 3), np.uint8))
    common = (str(folder / 'frame.jpg'), '--config', CONFIG, '--out', str(folder / 'out'))
    infer.main([*common, '--device', 'cpu', *map(str, more)])


DOORS = dict(
    train=train_from,
    train_backbone=train_from_a_backbone,
    resume=lambda path, root, folder: train.main(
        arguments(CONFIG, '--resume', path, data_root=root, work_dir=folder)
    ),
    resume_latest=resume_latest,
    test=lambda path, root, folder: test.main(
        arguments(CONFIG, path, data_root=root, work_dir=folder)
    ),
    infer=lambda path, root, folder: infer_with(folder, '--checkpoint', path),
    infer_detector=lambda path, root, folder: infer_with(
        folder, '--det-model', RTMDET, '--det-checkpoint', path
    ),
    detect_persons=lambda path, root, folder: detect_persons.main(
        [CONFIG, '--data-root', str(root), '--out', str(folder / 'boxes.json'),
         '--det-model', RTMDET, '--det-checkpoint', str(path)]
    ),
    hypotheses=lambda path, root, folder: hypotheses.main(
        [CONFIG, '--data-root', str(root), '--out', str(folder), '--checkpoint', str(path)]
    ),
    DiffPoseInferencer=lambda path, root, folder: DiffPoseInferencer(
        CONFIG, str(path), det_model='whole_image', device='cpu'
    ),
    MMPoseInferencer=lambda path, root, folder: MMPoseInferencer(
        CONFIG, str(path), det_model='whole_image', device='cpu'
    ),
    publish=lambda path, root, folder: publish(path, folder),
)  # fmt: skip


@pytest.mark.parametrize('door', DOORS)
def test_code_in_a_checkpoint_is_refused_at(door, armed, tiny_posetrack, tmp_path, monkeypatch):
    """Broken if a tool or inferencer read a checkpoint in a way that runs what is in it."""
    path, mark = armed
    if door != 'MMPoseInferencer':
        # Even where the user turned torch's own refusal off. MMPose's inferencer is not ours.
        monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    with pytest.raises((SystemExit, RuntimeError, ValueError, pickle.UnpicklingError)) as error:
        DOORS[door](path, tiny_posetrack, tmp_path)
    assert not mark.exists()
    message = str(error.value)
    if door == 'MMPoseInferencer':
        assert 'GLOBAL posix.system' in message
    else:
        assert 'holds posix.system' in message and 'refused' in message, message


@pytest.mark.parametrize('field', ['ann_file', 'bbox_file'])
def test_annotations_and_detections_are_not_unpickled(field, tiny_posetrack, tmp_path):
    """Broken if a file of boxes were read by its ending, as mmengine does."""
    mark, path = tmp_path / 'mark', tmp_path / 'boxes.pkl'
    path.write_bytes(pickle.dumps([Payload(mark)]))
    files = dict(ann_file='annotations/posetrack18_val.json', bbox_file=None)
    with pytest.raises((ValueError, OSError)):
        PoseTrack18ClipDataset(
            data_root=str(tiny_posetrack), test_mode=True, **{**files, field: str(path)}
        )
    assert not mark.exists()


@pytest.fixture
def address(armed, monkeypatch, tmp_path):
    """Address of the armed checkpoint, and an empty place for downloads."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(armed[0].parent))
    handler.func.log_message = lambda *args: None
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    yield f'http://127.0.0.1:{server.server_port}/{armed[0].name}'
    server.shutdown()
    server.server_close()


REMOTE = ('train', 'train_backbone', 'test', 'infer', 'DiffPoseInferencer', 'MMPoseInferencer')


@pytest.mark.parametrize('door', REMOTE)
def test_code_behind_an_address_is_refused_at(
    door, armed, address, tiny_posetrack, tmp_path, monkeypatch
):
    """Broken if a download were unpickled, as torch.hub does by default."""
    if door != 'MMPoseInferencer':
        monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    with pytest.raises((SystemExit, RuntimeError, pickle.UnpicklingError)) as error:
        DOORS[door](address, tiny_posetrack, tmp_path)
    assert not armed[1].exists()
    assert 'posix.system' in str(error.value)


def test_kept_predictions_are_not_unpickled(tmp_path):
    """Broken if the folder in which a run goes on could bring code along."""
    mark = tmp_path / 'mark'
    known = Sweep(None, [0], [1], [2], str(tmp_path), 1, 0)
    torch.save([Payload(mark)], known._file([0], 1))
    with pytest.raises(pickle.UnpicklingError, match='GLOBAL posix.system'):
        list(known)
    assert not mark.exists()


def renamed(source, target, old, new):
    """Copy a checkpoint, with a module that its pickle names replaced."""
    reader, writer = torch.PyTorchFileReader(str(source)), torch.PyTorchFileWriter(str(target))
    for name in reader.get_all_records():
        data = reader.get_record(name)
        if name == 'data.pkl':
            data = re.sub(b'c%s\n' % re.escape(old.encode()), b'c%s\n' % new.encode(), data)
            assert b'c%s\n' % new.encode() in data
        if name not in ('.data/serialization_id', 'version'):
            writer.write_record(name, data, len(data))
    writer.write_end_of_file()
    return target


@pytest.fixture(scope='module')
def own(trained, tmp_path_factory):
    """One checkpoint of every sort."""
    folder = tmp_path_factory.mktemp('own')
    whole = trained / 'epoch_1.pth'
    checkpoint = torch.load(whole)
    assert {'optimizer', 'param_schedulers', 'message_hub', 'ema_state_dict'} <= checkpoint.keys()
    optimizer = dict(checkpoint['optimizer'], loss_scaler=torch.amp.GradScaler('cpu').state_dict())
    torch.save(dict(checkpoint, optimizer=optimizer), folder / 'amp.pth')
    for history in checkpoint['message_hub']['log_scalars'].values():
        history._count_history = history._count_history.astype(np.int32)
    torch.save(checkpoint, folder / 'windows.pth')
    one, two = 'numpy.core.multiarray', 'numpy._core.multiarray'
    written = one if np.__version__ < '2' else two
    return {
        'training': whole,
        'AMP': folder / 'amp.pth',
        'training on Windows': folder / 'windows.pth',
        'numpy 1': renamed(whole, folder / 'one.pth', written, one),
        'numpy 2': renamed(whole, folder / 'two.pth', written, two),
        'published': publish(whole, folder),
    }


# Each type that is allowed, and a checkpoint that cannot be read without it.
NEEDED = {
    'mmengine.logging.history_buffer.HistoryBuffer': 'training',
    'builtins.getattr': 'training',
    'numpy.ndarray': 'published',
    'numpy.dtype': 'published',
    'numpy.core.multiarray._reconstruct': 'numpy 1',
    'numpy.core.multiarray.scalar': 'numpy 1',
    'numpy._core.multiarray._reconstruct': 'numpy 2',
    'numpy._core.multiarray.scalar': 'numpy 2',
    'numpy.dtypes.UInt8DType': 'published',
    'numpy.dtypes.Float32DType': 'published',
    'numpy.dtypes.Float64DType': 'training',
    'numpy.dtypes.Int64DType': 'training',
    'numpy.dtypes.Int32DType': 'training on Windows',
}


@contextmanager
def without(name):
    allowed = torch.serialization.get_safe_globals()
    fewer = [item for item in allowed if not (isinstance(item, tuple) and item[1] == name)]
    assert len(fewer) == len(allowed) - 1
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(fewer)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(allowed)


def test_every_sort_of_own_checkpoint_can_be_read(own):
    """Broken if resuming, averaged weights, mixed precision or shipping needed another type."""
    for path in own.values():
        assert read_checkpoint(str(path))['state_dict']
    scaler = read_checkpoint(str(own['AMP']))['optimizer']['loss_scaler']
    assert scaler['scale'] == 65536 and scaler['_growth_tracker'] == 0


@pytest.mark.parametrize('name', NEEDED)
def test_nothing_is_allowed_without_need(name, own):
    """Broken if the list of types that a checkpoint may name held one too many."""
    assert NEEDED.keys() == safe_globals().keys()
    with without(name), pytest.raises(pickle.UnpicklingError):
        torch.load(own[NEEDED[name]], weights_only=True)
