"""Detector boxes from the command line: shares, kills, faults, and a test with what it wrote."""

import json
import multiprocessing
import os
import shutil
import signal

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.utils import get_installed_path
from tools_helpers import CONFIG, arguments
from torchvision.models import get_model

from diffpose_mm.apis.detector import PersonDetector
from diffpose_mm.apis.people import Person
from diffpose_mm.datasets import PoseTrack18ClipDataset
from diffpose_mm.tools import detect_persons as tool
from diffpose_mm.tools import test as test_tool


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    """Config and weights of an RTMDet cut down to 8 channels, random but with boxes that differ."""
    from mmdet.apis import DetInferencer

    folder = tmp_path_factory.mktemp('detector')
    source = f'{get_installed_path("mmdet")}/.mim/configs/rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
    cfg = Config.fromfile(source)
    cfg.model.backbone.update(widen_factor=0.125, deepen_factor=0.167, init_cfg=None)
    cfg.model.neck.update(in_channels=[32, 64, 128], out_channels=16)
    cfg.model.bbox_head.update(in_channels=16, feat_channels=16, num_classes=2)
    for step in cfg.test_dataloader.dataset.pipeline:
        if step.type in ('Resize', 'Pad'):
            step['scale' if step.type == 'Resize' else 'size'] = (128, 128)
    cfg.dump(folder / 'tiny_rtmdet.py')
    torch.manual_seed(0)
    model = DetInferencer(cfg, device='cpu', scope='mmdet').model
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_var.fill_(0.01)  # else all that is random looks the same
    for cls, reg in zip(model.bbox_head.rtm_cls, model.bbox_head.rtm_reg):
        torch.nn.init.normal_(cls.weight, std=0.5)
        reg.bias.data.fill_(2)  # else most boxes would be inside out
    torch.save(dict(state_dict=model.state_dict()), folder / 'tiny_rtmdet.pth')
    return ['--det-model', str(folder / 'tiny_rtmdet.py'),
            '--det-checkpoint', str(folder / 'tiny_rtmdet.pth')]  # fmt: skip


def detect(root, out, *options):
    common = [CONFIG, '--data-root', root, '--out', out, '--batch-size', 2, '--device', 'cpu']
    return tool.main([str(value) for value in (*common, *options)])


@pytest.fixture(scope='module')
def whole(detector, tiny_posetrack, tmp_path_factory):
    """The file of one process, which all others are compared with."""
    out = tmp_path_factory.mktemp('whole') / 'boxes.json'
    detect(tiny_posetrack, out, *detector)
    return out


def test_writes_coco_results_that_the_test_takes(whole, trained, tiny_posetrack, tmp_path):
    """From frames through a detector of mmdet to the AP of the poses in its boxes."""
    detections = json.loads(whole.read_text())
    assert len({det['image_id'] for det in detections}) == 6
    assert len({tuple(det['bbox']) for det in detections}) > 100
    assert [p.name for p in whole.parent.iterdir()] == ['boxes.json']
    data = PoseTrack18ClipDataset(
        ann_file='annotations/posetrack18_val.json', bbox_file=str(whole),
        data_root=str(tiny_posetrack), test_mode=True,
    )  # fmt: skip
    assert len(data) == len(detections)
    best = str(np.sort([det['score'] for det in detections])[-12])
    metrics = test_tool.main(
        arguments(CONFIG, trained / 'epoch_1.pth', data_root=tiny_posetrack, work_dir=tmp_path,
                  options=[f'test_dataloader.dataset.bbox_file={whole}',
                           f'test_dataloader.dataset.filter_cfg.bbox_score_thr={best}'])
    )  # fmt: skip
    assert metrics['box_source'] == 'detected' and metrics['posetrack/AP'] >= 0


def test_people_of_a_detector_of_torchvision(tiny_posetrack, tmp_path):
    """Its labels are its own, and of each frame the best person is kept."""
    name, weights = 'ssdlite320_mobilenet_v3_large', tmp_path / 'ssdlite.pth'
    torch.manual_seed(0)
    model = get_model(name, weights=None, weights_backbone=None)
    for head in model.head.classification_head.module_list:
        head[1].bias.data[1::91] += 2  # more people than other things
    torch.save(model.state_dict(), weights)
    options = ['--det-model', f'torchvision:{name}', '--det-checkpoint', weights]
    everyone = detect(tiny_posetrack, tmp_path / 'all.json', *options, '--bbox-thr', 0.01)
    assert len(everyone) > 12 and all(0 <= x <= 160 and w > 0 for x, _, w, _ in boxes(everyone))
    best = detect(
        tiny_posetrack, tmp_path / 'one.json', *options, '--bbox-thr', 0.01, '--max-people', 1
    )
    first = {}
    for person in everyone:
        first.setdefault(person['image_id'], person)
    assert best == list(first.values()) and len(best) == 6
    with pytest.raises(SystemExit, match='no label 91; it has 0 __background__, 1 person'):
        detect(tiny_posetrack, tmp_path / 'no.json', *options, '--det-cat-ids', 91)


def boxes(detections):
    return [detection['bbox'] for detection in detections]


def test_shares_make_the_same_file(whole, detector, tiny_posetrack, tmp_path, monkeypatch):
    """Broken if a frame is left out or taken twice, or if its batch depends on who detects it."""
    out = tmp_path / 'boxes.json'
    assert detect(tiny_posetrack, out, *detector, '--shard', '2/2') is None
    assert not out.exists()
    for name, value in zip(tool.LAUNCHERS['pytorch'], '021'):
        monkeypatch.setenv(name, value)
    assert detect(tiny_posetrack, out, *detector, '--launcher', 'pytorch') is not None
    assert out.read_bytes() == whole.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ['boxes.json']


@pytest.fixture
def unnamed(monkeypatch):
    """The detector of no name is known without being had; what it finds the tests say."""
    monkeypatch.setattr(PersonDetector, 'identity', lambda self: dict(library='stub'))


def brightness_as_boxes(self, frames, *thresholds):
    return [
        [Person(np.float32([1, 2, 3 + frame.mean(), 9]), frame.std() / 100)] for frame in frames
    ]


def detect_until_killed(root, out):
    """Detect in a process that is killed in its third batch."""
    calls = []

    def stub(self, frames, *thresholds):
        calls.append(frames)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return brightness_as_boxes(self, frames)

    PersonDetector.__call__ = stub
    detect(root, out)


@pytest.mark.usefixtures('unnamed')
def test_goes_on_after_a_kill(tiny_posetrack, tmp_path, monkeypatch):
    """SIGKILL in the last of three batches, a line torn; the run or one of two shares goes on."""
    out = tmp_path / 'killed' / 'boxes.json'
    # Forked, as a new interpreter would import for many seconds.
    process = multiprocessing.get_context('fork').Process(
        target=detect_until_killed, args=(tiny_posetrack, out)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    (part,) = out.parent.iterdir()
    assert part.read_text().count('\n') == 1 + 2
    with open(part, 'a') as file:
        file.write('{"block": 2, "detec')

    batches = []

    def stub(self, frames, *thresholds):
        batches.append(len(frames))
        return brightness_as_boxes(self, frames)

    monkeypatch.setattr(PersonDetector, '__call__', stub)
    with pytest.raises(SystemExit, match='1-of-1.jsonl is left over from an.*--resume'):
        detect(tiny_posetrack, out)
    with pytest.raises(SystemExit, match='of another run .bbox_thr: 0.05 then, 0.5 now.'):
        detect(tiny_posetrack, out, '--resume', '--bbox-thr', 0.5)
    assert not batches
    alone = shutil.copytree(out.parent, tmp_path / 'alone') / 'boxes.json'
    detections = detect(tiny_posetrack, out, '--resume', '--shard', '1/2')
    assert batches == [2] and len(detections) == 6
    detect(tiny_posetrack, alone, '--resume')
    assert batches == [2, 2] and alone.read_bytes() == out.read_bytes()
    with pytest.raises(SystemExit, match='boxes.json exists already'):
        detect(tiny_posetrack, out)
    assert detect(tiny_posetrack, out, '--resume') == json.loads(out.read_text()) == detections
    detect(tiny_posetrack, tmp_path / 'boxes.json')
    assert (tmp_path / 'boxes.json').read_bytes() == out.read_bytes()


@pytest.mark.usefixtures('unnamed')
def test_a_share_without_batches_leaves_no_file(tiny_posetrack, tmp_path, monkeypatch):
    """With more processes than batches one may start when the others have joined their parts."""
    monkeypatch.setattr(PersonDetector, '__call__', brightness_as_boxes)
    out = tmp_path / 'boxes.json'
    assert detect(tiny_posetrack, out, '--shard', '4/4') is None
    assert not list(tmp_path.iterdir())
    for share in '1/4', '2/4':
        assert detect(tiny_posetrack, out, '--shard', share) is None
    detections = detect(tiny_posetrack, out, '--shard', '3/4')
    assert detect(tiny_posetrack, out, '--shard', '4/4') == detections
    assert [p.name for p in tmp_path.iterdir()] == ['boxes.json']


def test_parts_of_another_run_are_an_error_before_the_work(
    unnamed, tiny_posetrack, tmp_path, monkeypatch
):
    """Broken if it were told when all batches are done, or if both runs were mixed."""
    monkeypatch.setattr(PersonDetector, '__call__', brightness_as_boxes)
    out = tmp_path / 'boxes.json'
    assert detect(tiny_posetrack, out, '--shard', '1/2') is None
    seen = []
    monkeypatch.setattr(PersonDetector, '__call__', lambda self, frames, *_: seen.append(frames))
    with pytest.raises(SystemExit, match='1-of-2.jsonl is of another run .bbox_thr: 0.05 then'):
        detect(tiny_posetrack, out, '--bbox-thr', 0.5)
    assert not seen and [p.name for p in tmp_path.iterdir()] == ['boxes.json.1-of-2.jsonl']


def test_unreadable_frames_are_all_named_and_nothing_is_lost(
    unnamed, tiny_posetrack, tmp_path, monkeypatch
):
    """A frame without boxes would silently not be tested: it takes a word of the user."""
    root = tmp_path / 'data'
    shutil.copytree(tiny_posetrack, root)
    lost, cut = sorted(root.glob('images/val/*/000001.jpg'))
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:-20])
    seen = []

    def stub(self, frames, *thresholds):
        seen.extend(frames)
        return [[Person(np.array([1, 2, 31, 42.123], np.float32), 0.7)] for _ in frames]

    monkeypatch.setattr(PersonDetector, '__call__', stub)
    out = tmp_path / 'boxes.json'
    with pytest.raises(SystemExit) as exit_info:
        detect(root, out)
    text = exit_info.value.code
    assert text.startswith('error: 2 frames cannot be read') and '--skip-unreadable' in text
    assert f'image {lost} does not exist' in text and f'{cut} is a truncated JPEG' in text
    assert not out.exists() and len(seen) == 2
    detections = detect(root, out, '--resume', '--skip-unreadable')
    assert len(seen) == len(detections) == 4
    assert detections[0] == dict(
        image_id=11000000000, category_id=1, bbox=[1, 2, 30, 40.12], score=0.7
    )


def test_a_repaired_or_exchanged_frame_is_detected_anew(
    unnamed, tiny_posetrack, tmp_path, monkeypatch
):
    """Broken if the boxes of a frame that has another content now are kept."""
    root = tmp_path / 'data'
    shutil.copytree(tiny_posetrack, root)
    first, cut = sorted(root.glob('images/val/*/000001.jpg'))
    whole = cut.read_bytes()
    cut.write_bytes(whole[:-20])
    seen = []

    def stub(self, frames, *thresholds):
        seen.append(len(frames))
        return [[Person(np.array([1, 2, 31, 42], np.float32), 0.7)] for _ in frames]

    monkeypatch.setattr(PersonDetector, '__call__', stub)
    out = tmp_path / 'boxes.json'
    with pytest.raises(SystemExit, match='1 frames cannot be read'):
        detect(root, out, '--batch-size', 1)
    assert sum(seen) == 5
    seen.clear()
    cut.write_bytes(whole)
    cv2.imwrite(str(first), np.zeros((120, 160, 3), np.uint8))
    assert len(detect(root, out, '--batch-size', 1, '--resume')) == 6
    assert sum(seen) == 2, 'the repaired frame and the exchanged one'


@pytest.mark.parametrize(
    'options, message',
    [
        (['--shard', '5/4'], '--shard 5/4 has to be I/N with I from 1 to N'),
        (['--shard', 'half'], '--shard half has to be I/N'),
        (['--launcher', 'slurm'], 'SLURM_PROCID.*is not set'),
        (['--launcher', 'mpi', '--shard', '1/2'], 'leave one out'),
        (['--batch-size', '0'], '--batch-size 0'),
        (['--max-people', '0'], '--max-people 0 has to be at least 1'),
        (['--det-model', 'torchvision:yolo'], "torchvision has no detector 'yolo'"),
        (['--det-model', 'hf:nobody'], 'hf:nobody is no name of the hub'),
        (['--det-model', 'a.py'], 'a.py needs its weights: --det-checkpoint'),
        (['--det-checkpoint', 'none.pth'], 'none.pth does not exist'),
        (['--split', 'train', '--data-root', 'nowhere'], 'nowhere/annotations.* does not exist'),
        (['--det-model', 'no-such', '--device', 'cpu'], "det_model='no-such'.*cannot be built"),
    ],
)
def test_bad_arguments(options, message, tiny_posetrack, tmp_path):
    with pytest.raises(SystemExit, match=message):
        detect(tiny_posetrack, tmp_path / 'boxes.json', *options)


@pytest.mark.usefixtures('unnamed')
def test_unlabelled_frames_are_left_out(tiny_posetrack, tmp_path, monkeypatch):
    """They count only for a data set that takes boxes on them."""
    root = tmp_path / 'data'
    shutil.copytree(tiny_posetrack, root)
    file = root / 'annotations/posetrack18_val.json'
    content = json.loads(file.read_text())
    for image in content['images'][::2]:
        image['is_labeled'] = False
    file.write_text(json.dumps(content))
    monkeypatch.setattr(PersonDetector, '__call__', lambda self, frames, *_: [[] for _ in frames])
    everywhere = ['--cfg-options', 'val_dataloader.dataset.labeled_only=False']
    for option, count in ((), 3), (everywhere, 6):
        lines = []
        monkeypatch.setattr('builtins.print', lambda text, lines=lines: lines.append(text))
        detect(root, tmp_path / f'{count}.json', *option)
        assert f'0 boxes on 0 of {count} frames, {count} without' in lines[0]


def test_help_has_the_commands(capsys):
    with pytest.raises(SystemExit):
        tool.main(['--help'])
    text = capsys.readouterr().out
    assert 'torchrun' in text and '--resume' in text and 'bbox_file=' in text
