"""int8: what is rounded, what is asked for, and what is refused."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from diffpose_mm import optional_modules
from diffpose_mm.exporting import Differences, writing
from diffpose_mm.exporting.calibration import calibration_clips
from diffpose_mm.exporting.quantising import check_calibration, made_of_convolutions, quantise
from diffpose_mm.exporting.writing import export_part
from diffpose_mm.tools import export
from diffpose_mm_runtime.engines import check_precision, load_part

SETTINGS = dict(
    frame_offsets=[-1, 0, 1],
    codec=dict(input_size=[12, 16]),
    padding=1.25,
    use_udp=True,
    bgr_to_rgb=True,
    mean=[0.0, 0.0, 0.0],
    std=[1.0, 1.0, 1.0],
)


class Products(nn.Module):
    """Patches times a matrix."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(3 * 16, 32)

    def forward(self, crops):
        return self.map(crops.flatten(2).unflatten(2, (12, 16)).transpose(1, 2).flatten(2))


def convolutions():
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3))


def crops(count):
    return torch.randn(count, 3, 16, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('engine, ending', [('onnxruntime', '.onnx'), ('openvino', '.xml')])
def test_calibrated_convolutions_are_rounded_and_no_more(engine, ending, tmp_path):
    """Broken if int8 changed nothing, or more than eight bits do."""
    torch.manual_seed(0)
    network, path = convolutions().eval(), tmp_path / f'part{ending}'
    inputs = crops(8)
    export_part(network, (inputs[:2],), path, lambda file: quantise(file, inputs.numpy()))
    expected = network(inputs).detach().numpy()
    (found,) = load_part(path, engine, 1)(inputs.numpy())
    apart = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert 1e-3 < apart < 0.05


def test_matrix_products_need_no_calibration(tmp_path):
    """Broken if they were left in float32, or their file were not smaller."""
    torch.manual_seed(0)
    network, inputs = Products().eval(), crops(4)
    plain, rounded = tmp_path / 'plain.onnx', tmp_path / 'rounded.onnx'
    export_part(network, (inputs[:2],), plain)
    export_part(network, (inputs[:2],), rounded, quantise)
    assert rounded.stat().st_size < plain.stat().st_size
    expected = network(inputs).detach().numpy()
    (found,) = load_part(rounded, 'onnxruntime', 1)(inputs.numpy())
    apart = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert 1e-4 < apart < 0.05


def test_what_a_backbone_is_made_of():
    """Broken if ViT were taken for convolutions by that of its patches."""
    assert made_of_convolutions(convolutions())
    vit = nn.Sequential(nn.Conv2d(3, 8, 16), nn.Linear(8, 512), nn.Linear(512, 512))
    assert not made_of_convolutions(vit)


@pytest.mark.parametrize(
    ('kind', 'convolutional', 'message'),
    [
        ('onnx', True, 'a backbone of convolutions needs ranges'),
        ('openvino', False, '--format openvino needs ranges'),
    ],
)
def test_calibration_is_asked_for_where_it_is_needed(kind, convolutional, message):
    """Broken if ranges were guessed, or asked for where none are used."""
    with pytest.raises(ValueError, match=f'{message}.*give --calibration VIDEO and --boxes FILE'):
        check_calibration(kind, False, convolutional)
    check_calibration(kind, True, convolutional)
    check_calibration('onnx', False, False)


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--calibration', 'walk.mp4', '--boxes', 'b.json'], 'is for --precision int8'),
        (['--precision', 'int8', '--calibration', 'walk.mp4'], 'go together'),
        (['--precision', 'int8', '--boxes', 'b.json'], 'go together'),
    ],
)
def test_arguments_that_do_not_belong_together(more, message, tmp_path):
    """Broken if a calibration were left out without a word."""
    with pytest.raises(SystemExit, match=message):
        export.main(['diffpose_real', '--out', str(tmp_path / 'out'), *more])


def test_what_makes_int8_is_not_installed(tmp_path, monkeypatch):
    """Broken if the error came after minutes, from inside."""
    found = optional_modules.importlib.util.find_spec
    monkeypatch.setattr(
        optional_modules.importlib.util,
        'find_spec',
        lambda n: None if n == 'onnxruntime' else found(n),
    )
    writing.check_installed('onnx')
    with pytest.raises(ModuleNotFoundError, match='int8 needs: pip install .* onnxruntime'):
        writing.check_installed('onnx', 'int8')


def test_joints_that_jump_are_refused_whatever_the_median():
    """Broken if joints on another peak were hidden by those that stay."""
    fine = Differences(0.5, 0.1, 0.7, 60.0, 0.01)
    assert export._refused(fine, 'int8', 0.5) is None
    assert export._refused(fine, 'float32', 0.01) == '--bound 0.01'
    assert export._refused(fine._replace(median=0.6), 'int8', 0.5) == '--bound 0.5'
    assert '2 % on another peak' in export._refused(fine._replace(jumps=0.03), 'int8', 0.5)
    assert export._refused(fine._replace(median=float('nan')), 'int8', 0.5)


def test_the_runtime_says_where_int8_comes_from():
    """Broken if it were called unknown."""
    with pytest.raises(ValueError, match='write the folder with export --precision int8'):
        check_precision('int8', 'openvino')


@pytest.fixture
def video(tmp_path):
    """A folder of frames, and a file of boxes, of six people in ten frames."""
    import cv2

    folder = tmp_path / 'frames'
    folder.mkdir()
    for number in range(10):
        cv2.imwrite(str(folder / f'{number}.png'), np.full((40, 30, 3), 20 * number, np.uint8))
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(json.dumps([[[2, 2, 20, 30]]] * 6 + [[]] * 4))
    return folder, boxes


def test_clips_are_spread_over_the_video(video):
    """Broken if ranges were learned from its beginning alone."""
    clips = calibration_clips(*video, SETTINGS, most=3)
    assert clips.shape == (3, 3, 3, 16, 12) and clips.dtype == np.float32
    assert [round(float(clip[1].max())) for clip in clips] == [0, 40, 80]
    assert len(calibration_clips(*video, SETTINGS)) == 6


def test_a_video_of_nobody(video):
    """Broken if ranges were learned from nothing."""
    folder, boxes = video
    boxes.write_text(json.dumps([[]] * 10))
    with pytest.raises(ValueError, match='has nobody in .*: give boxes of people in that video'):
        calibration_clips(folder, boxes, SETTINGS)
