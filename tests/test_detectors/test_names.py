"""What ``--det-model`` may be: each form is the detector that it names, before anything is read."""

import pytest
from mmengine.config import Config

from diffpose_mm.apis.detector import PersonDetector
from diffpose_mm.detectors import DefaultDetector, DetectorError, find_detector
from diffpose_mm.detectors.mmdet_detector import MMDetDetector
from diffpose_mm.detectors.torchvision_detector import TorchvisionDetector
from diffpose_mm.detectors.transformers_detector import TransformersDetector


@pytest.mark.parametrize(
    'model, weights, kind',
    [
        (None, None, DefaultDetector),
        (None, 'det.pth', MMDetDetector),
        ('rtmdet-m', None, MMDetDetector),
        ('rtmdet_tiny_8xb32-300e_coco', 'det.pth', MMDetDetector),
        ('configs/mine.py', 'det.pth', MMDetDetector),
        (Config(dict(model=dict(type='A'))), None, MMDetDetector),
        ('hf:PekingU/rtdetr_v2_r18vd', None, TransformersDetector),
        ('torchvision:ssdlite320_mobilenet_v3_large', 'det.pth', TorchvisionDetector),
        ('torchvision:no-such', None, TorchvisionDetector),
    ],
)
def test_each_form_is_the_detector_that_it_names(model, weights, kind):
    assert type(find_detector(model, weights)) is kind


def test_a_folder_is_one_of_transformers(tmp_path):
    assert type(find_detector(str(tmp_path))) is TransformersDetector
    assert type(find_detector(tmp_path)) is TransformersDetector
    with pytest.raises(ValueError, match='is no model of transformers: it has no config.json'):
        PersonDetector(str(tmp_path)).prepare()


def test_weights_beside_a_name_that_has_its_own_are_refused():
    """Broken if one of the two were left out silently."""
    with pytest.raises(DetectorError, match='det.pth.*has no place beside .*hf:a/b.*leave it out'):
        find_detector('hf:a/b', 'det.pth')


def test_a_name_of_the_hub_that_is_none_is_one_line():
    with pytest.raises(ValueError, match='hf:nobody is no name of the hub.*--det-model'):
        PersonDetector('hf:nobody').prepare()
