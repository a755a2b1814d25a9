"""Detectors of torchvision: real architectures, random weights, beside the library by hand."""

import copy
import re

import numpy as np
import pytest
import torch
from torchvision.models import detection, get_model, get_model_weights
from torchvision.models._api import WeightsEnum

from diffpose_mm.apis.detector import PersonDetector
from diffpose_mm.detectors import downloads, person_labels
from diffpose_mm.detectors.torchvision_detector import TorchvisionDetector

SMALL = 'ssdlite320_mobilenet_v3_large'
RCNN = 'fasterrcnn_mobilenet_v3_large_320_fpn'
FROZEN = 'retinanet_resnet50_fpn'


def frames(count=1, height=370, width=450, seed=0):
    """Noise on blocks, BGR, larger than what the small networks see."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (count, height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return list(np.kron(blocks, np.ones((1, 8, 8, 1), np.uint8))[:, :height, :width])


def random_state(name, **options):
    """Weights that let boxes of several labels through."""
    torch.manual_seed(0)
    model = get_model(name, weights=None, weights_backbone=None, **options)
    state = model.state_dict()
    for key, value in state.items():
        last = re.fullmatch(r'head.classification_head.module_list.\d.1.(weight|bias)', key)
        if last or 'cls_score' in key or 'cls_logits' in key:
            value.normal_(std=0.3) if value.dim() > 1 else value.zero_()
            if last and value.dim() == 1:
                value[1::91] += 2  # more people than other things
        elif 'running_var' in key and name == SMALL:
            value.fill_(0.02)  # with 1 all pictures look the same to random weights
    return state


@pytest.fixture(scope='module')
def ssdlite(tmp_path_factory):
    """A file with weights of the smallest detector; not to be written to."""
    path = tmp_path_factory.mktemp('ssdlite') / 'ssdlite.pth'
    torch.save(random_state(SMALL), path)
    return str(path)


def official(name, state, monkeypatch):
    """Torchvision's own model, with `state` for the weights that it would download."""
    monkeypatch.setattr(WeightsEnum, 'get_state_dict', lambda self, **_: state)
    return get_model(name, weights=get_model_weights(name).DEFAULT).eval()


def by_hand(model, frame):
    """Rows of label 1, sorted by torchvision itself."""
    picture = torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1) / 255
    with torch.no_grad():
        (found,) = model([picture])
    chosen = found['labels'] == 1
    return torch.cat((found['boxes'], found['scores'][:, None]), 1)[chosen].numpy()


def rows(people):
    return np.array([[*person.box, person.score] for person in people]).reshape(-1, 5)


def test_boxes_are_those_of_the_library_by_hand(ssdlite, monkeypatch):
    """Broken if sizes, colours, the range of the values or the label of a person went wrong."""
    (frame,) = frames()
    expected = by_hand(official(SMALL, torch.load(ssdlite), monkeypatch), frame)
    assert len(expected) >= 3 and np.ptp(expected[:, 0]) > 5
    detector = PersonDetector(f'torchvision:{SMALL}', ssdlite, device='cpu')
    (people,) = detector([frame], 0.0, 1.0)
    expected = expected[((expected[:, 2:4] - expected[:, :2]) > 0).all(1)]
    np.testing.assert_allclose(rows(people), expected, atol=2e-3)
    (swapped,) = detector([frame[..., ::-1]], 0.0, 1.0)
    assert np.abs(rows(swapped)[:5] - expected[:5]).max() > 1, 'red and blue are not the same'
    together = detector([frame, *frames(1, 200, 330, seed=1), frame], 0.0, 1.0)
    np.testing.assert_array_equal(rows(together[0]), rows(people))
    np.testing.assert_array_equal(rows(together[2]), rows(people))
    alone = detector(frames(1, 200, 330, seed=1), 0.0, 1.0)
    np.testing.assert_array_equal(rows(together[1]), rows(alone[0]))


def test_every_detector_of_torchvision_calls_label_1_person():
    """Broken if a number were taken where the names say another."""
    from torchvision.models import list_models

    for name in list_models(module=detection):
        for weights in get_model_weights(name):
            names = dict(enumerate(weights.meta['categories']))
            assert person_labels(names) == (1,), name


def test_frozen_normalisations_have_no_epsilon(tmp_path, monkeypatch):
    """Broken if weights by name computed something else than torchvision with these weights.

    torchvision sets the epsilon to 0 only where it loads them itself.
    """
    state = random_state(FROZEN)
    frozen = {key: value for key, value in state.items() if 'num_batches' not in key}
    path = tmp_path / 'retinanet.pth'
    torch.save(frozen, path)
    expected = official(FROZEN, copy.deepcopy(frozen), monkeypatch).backbone
    detector = TorchvisionDetector(f'torchvision:{FROZEN}@COCO_V1', str(path), 'cpu')
    detector.prepare()
    picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mine, theirs = detector.model.backbone(picture), expected(picture)
        own = get_model(FROZEN, weights=None, weights_backbone=None)
        own.load_state_dict(state)
        other = own.eval().backbone(picture)
    for level in theirs:
        scale = theirs[level].abs().max()
        assert (mine[level] - theirs[level]).abs().max() / scale < 1e-5
        assert (other[level] - theirs[level]).abs().max() / scale > 1e-4
    # What was trained by someone who let them learn keeps it.
    torch.save(state, path)
    trained = TorchvisionDetector(f'torchvision:{FROZEN}', str(path), 'cpu')
    trained.prepare()
    with torch.no_grad():
        for level, value in trained.model.backbone(picture).items():
            assert torch.equal(value, other[level])


def test_weights_by_name_are_downloaded_once_with_their_hash(ssdlite, monkeypatch, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    asked = []
    monkeypatch.setattr(downloads, 'download', lambda address: asked.append(address) or ssdlite)
    monkeypatch.setattr('diffpose_mm.detectors.torchvision_detector.download', downloads.download)
    detector = PersonDetector(f'torchvision:{SMALL}', device='cpu')
    assert detector.identity() == dict(
        library='torchvision', model=SMALL, labels=['person'],
        weights='ssdlite320_mobilenet_v3_large_coco-a79551df.pth',
    )  # fmt: skip
    detector.prepare()
    detector.prepare()
    assert asked == [get_model_weights(SMALL).DEFAULT.url]
    assert f"torchvision's {SMALL}" == detector.network.description()


def test_a_file_is_known_by_its_content(ssdlite, tmp_path):
    one = PersonDetector(f'torchvision:{SMALL}', ssdlite).identity()
    copied = tmp_path / 'other.pth'
    copied.write_bytes(open(ssdlite, 'rb').read())
    assert PersonDetector(f'torchvision:{SMALL}', str(copied)).identity() == one
    state = torch.load(ssdlite)
    torch.save({key: value + 1 for key, value in state.items()}, copied)
    assert PersonDetector(f'torchvision:{SMALL}', str(copied)).identity() != one


def test_an_rcnn_trained_on_other_classes_needs_its_label(tmp_path):
    """Broken if its first class were taken for people, or if it could not be used at all."""
    path = tmp_path / 'mine.pth'
    torch.save(random_state(RCNN, num_classes=3), path)
    with pytest.raises(ValueError, match='none of its labels is called person .they are not named'):
        PersonDetector(f'torchvision:{RCNN}', str(path), device='cpu').prepare()
    detector = PersonDetector(f'torchvision:{RCNN}', str(path), cat_ids=2, device='cpu')
    detector.prepare()
    (found,) = detector.network(frames())
    assert set(found.labels) <= {1, 2} and len(found.boxes)


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


def test_wrong_names_and_files_are_one_line(ssdlite, tmp_path):
    """Broken if a payload ran, or another model's weights were taken."""
    payload, cut = tmp_path / 'payload.pth', tmp_path / 'cut.pth'
    torch.save(dict(state_dict=Payload(str(tmp_path / 'ran'))), payload)
    cut.write_bytes(open(ssdlite, 'rb').read()[:-9999])
    for source, weights, message in (
        ('torchvision:yolo', None, "torchvision has no detector 'yolo'; it has fasterrcnn_mobil"),
        (f'torchvision:{SMALL}@V9', None, "no weights 'V9' of ssdlite.*; it has COCO_V1"),
        (f'torchvision:{RCNN}', ssdlite, 'is not of a fasterrcnn_mobilenet_.* of 91 classes'),
        (f'torchvision:{SMALL}', str(tmp_path / 'none.pth'), 'none.pth does not exist'),
        (f'torchvision:{SMALL}', str(payload), 'could run code'),
        (f'torchvision:{SMALL}', str(cut), 'cut'),
    ):
        with pytest.raises(ValueError, match=message) as error:
            PersonDetector(source, weights, device='cpu').prepare()
        assert '\n' not in str(error.value)
    assert not (tmp_path / 'ran').exists()
