"""Detectors of transformers: real architectures, small and random, beside the library by hand."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from diffpose_mm.apis.detector import PersonDetector
from diffpose_mm.detectors import person_labels, select_persons
from diffpose_mm.detectors.transformers_detector import TransformersDetector
from diffpose_mm.weights import hub

transformers = pytest.importorskip('transformers')
from tiny_transformers import MAKERS, NAMES, SIZE, save_tiny  # noqa: E402


def frames(count=1, height=121, width=203, seed=0):
    """Noise on blocks, BGR, larger than what the tiny networks see."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (count, height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return list(np.kron(blocks, np.ones((1, 8, 8, 1), np.uint8))[:, :height, :width])


def by_hand(folder, frame):
    """Rows x1, y1, x2, y2, score of the label Person, from the library's own calls, sorted."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    model = transformers.AutoModelForObjectDetection.from_pretrained(folder).eval()
    height, width = frame.shape[:2]
    with torch.no_grad():
        outputs = model(**processor(frame[..., ::-1].copy(), return_tensors='pt'))
    (found,) = processor.post_process_object_detection(
        outputs, threshold=0.0, target_sizes=[(height, width)]
    )
    rows = []
    for score, label, box in zip(found['scores'], found['labels'], found['boxes']):
        x1, y1, x2, y2 = box.tolist()
        x1, x2 = max(x1, 0), min(x2, width)
        y1, y2 = max(y1, 0), min(y2, height)
        if NAMES[int(label)] == 'Person' and x1 < x2 and y1 < y2:
            rows.append([x1, y1, x2, y2, float(score)])
    return np.array(sorted(rows, key=lambda row: -row[4]), np.float32).reshape(-1, 5)


@pytest.fixture(scope='module')
def rt_detr(tmp_path_factory):
    """A folder with a small RT-DETR v2; not to be written to."""
    return save_tiny(tmp_path_factory.mktemp('rt_detr'), 'rt_detr_v2')


@pytest.mark.parametrize('kind', MAKERS)
def test_boxes_are_those_of_the_library_by_hand(kind, tmp_path):
    """Broken if sizes, colours, labels or the order of rows went wrong on the way."""
    folder = save_tiny(tmp_path / kind, kind)
    (frame,) = frames()
    expected = by_hand(folder, frame)
    assert len(expected) >= 3, 'the random model has to find something'
    assert np.ptp(expected[:, :4], axis=0).max() > 5, 'and not the same everywhere'
    detector = PersonDetector(folder, device='cpu')
    (people,) = detector([frame], bbox_thr=0.0, nms_thr=1.0)
    found = np.array([[*person.box, person.score] for person in people])
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_the_network_sees_red_where_red_is(rt_detr):
    """Broken if frames, which are BGR, were handed on as they are; random boxes hardly tell."""
    (frame,) = frames()
    detector, seen = TransformersDetector(rt_detr, 'cpu'), []
    detector.prepare()
    detector.model.register_forward_pre_hook(
        lambda model, args, kwargs: seen.append(kwargs['pixel_values']), with_kwargs=True
    )
    detector([frame])
    picture = torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    picture = torch.nn.functional.interpolate(picture, SIZE, mode='bilinear', antialias=True)
    assert (seen[0] - picture).abs().max() < 0.02
    assert (seen[0].flip(1) - picture).abs().max() > 0.2


@pytest.mark.parametrize('kind', ['rt_detr_v2', 'detr', 'yolos', 'rf_detr'])
def test_a_batch_gives_what_its_frames_give_alone(kind, tmp_path):
    """Broken if padding to the largest frame of a batch, or another frame's scores, got in."""
    detector = TransformersDetector(save_tiny(tmp_path / kind, kind), 'cpu')
    detector.prepare()
    several = [*frames(2), *frames(1, 90, 150, seed=1), *frames(1, 203, 121, seed=2)]
    together = detector(several)
    assert len(together) == 4
    for frame, found in zip(several, together):
        (alone,) = detector([frame])
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=2e-3)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-5)
        assert (found.labels == alone.labels).all()
    assert together[0].boxes.shape[1] == 4 and len(together[0].boxes)


def test_thresholds_and_limit_are_applied_to_people(rt_detr):
    """Broken if a cat's score took a place among the people."""
    (frame,) = frames()
    detector = PersonDetector(rt_detr, device='cpu')
    (everyone,) = detector([frame], 0.0, 1.0)
    scores = [person.score for person in everyone]
    assert scores == sorted(scores, reverse=True)
    (some,) = detector([frame], scores[2], 1.0)
    assert [person.score for person in some] == [s for s in scores if s > scores[2]]
    (two,) = detector([frame], 0.0, 1.0, 2)
    assert [person.score for person in two] == scores[:2]


def test_labels_without_names_need_a_word_of_the_user(tmp_path):
    """Broken if label 0 or 1 were taken for people because it often is."""
    folder = save_tiny(tmp_path, 'detr', id2label={0: 'LABEL_0', 1: 'LABEL_1'})
    with pytest.raises(ValueError, match=r'none of its labels is called person.*--det-cat-ids'):
        PersonDetector(folder, device='cpu').prepare()
    detector = PersonDetector(folder, cat_ids=1, device='cpu')
    (people,) = detector(frames(), 0.0, 1.0)
    (found,) = detector.network(frames())
    assert len(people) == len(select_persons(found, (1,), (121, 203), 0.0, 1.0))
    assert set(found.labels) == {1} and people


def test_other_labels_can_be_named_and_those_that_are_not_there_are_refused(rt_detr):
    detector = TransformersDetector(rt_detr, 'cpu')
    detector.prepare()
    assert person_labels(detector.names) == (1,) and person_labels(detector.names, [2]) == (2,)
    with pytest.raises(ValueError, match='it has no label 90; it has 0 cat, 1 Person, 2 dog'):
        PersonDetector(rt_detr, cat_ids=90, device='cpu').prepare()


def test_scores_over_the_batch_are_refused(tmp_path):
    """RT-DETR without focal loss: its scores are a softmax over the pictures, all 1 if alone."""
    folder = save_tiny(tmp_path, 'rt_detr', use_focal_loss=False)
    with pytest.raises(ValueError, match='use_focal_loss=False.*they mean nothing'):
        PersonDetector(folder, device='cpu').prepare()


def test_from_the_hub(rt_detr, tmp_path, monkeypatch):
    """The name is fetched once, and what runs is known by its content, not by its name."""
    fetched = []
    monkeypatch.setattr(hub, 'fetch', lambda name: fetched.append(name) or Path(rt_detr))
    detector = PersonDetector('hf:someone/rt-detr@main', device='cpu')
    before = detector.identity()
    detector.prepare()
    assert fetched == ['hf:someone/rt-detr@main']
    assert detector.identity() == before == PersonDetector(rt_detr).identity()
    other = PersonDetector(save_tiny(tmp_path, 'rt_detr_v2', decoder_n_points=2))
    assert other.identity() != before
    assert 'hf:someone/rt-detr@main of transformers (RTDetrV2' in detector.network.description()


def spoil(folder, tmp_path, what):
    """A copy of a folder with something wrong."""
    copy = tmp_path / what
    shutil.copytree(folder, copy)
    config, weights = copy / 'config.json', copy / 'model.safetensors'
    if what == 'cut':
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif what == 'half':
        from safetensors.torch import load_file, save_file

        state = load_file(weights)
        save_file({k: v for k, v in state.items() if 'decoder' not in k}, weights)
    elif what == 'code':
        content = json.loads(config.read_text())
        content |= dict(model_type='mine', auto_map=dict(AutoConfig='code.Config'))
        config.write_text(json.dumps(content))
        (copy / 'code.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")')
    elif what == 'language':
        content = dict(model_type='bert', architectures=['BertModel'])
        config.write_text(json.dumps(content))
    elif what == 'payload':
        weights.unlink()
        with open(copy / 'pytorch_model.bin', 'wb') as file:
            pickle.dump(Payload(str(tmp_path / 'ran')), file)
    elif what == 'unreadable':
        config.write_text('{')
    else:
        (copy / what).unlink()
    return str(copy)


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


@pytest.mark.parametrize(
    'what, message',
    [
        ('config.json', 'is no model of transformers: it has no config.json'),
        ('preprocessor_config.json', 'it has no preprocessor_config.json'),
        ('model.safetensors', 'has no weights'),
        ('cut', 'cut .transformers .*'),
        ('half', r'is not whole: \d+ parameters are not in its weights'),
        ('code', 'code .transformers .*'),
        ('language', 'language .transformers .*'),
        ('unreadable', 'unreadable .transformers .*'),
        ('payload', 'payload .transformers .*'),
    ],
)
def test_what_is_no_whole_detector_is_refused_in_one_line(what, message, rt_detr, tmp_path):
    """Broken if half a model ran, if a folder's code ran, or if a traceback were the answer."""
    folder = spoil(rt_detr, tmp_path, what)
    with pytest.raises(ValueError, match=message) as error:
        PersonDetector(folder, device='cpu').prepare()
    assert '\n' not in str(error.value) and '--det-model' in str(error.value)
    assert not (tmp_path / 'ran').exists()


def test_without_transformers_one_line_says_what_to_install(rt_detr, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'transformers', None)
    with pytest.raises(ValueError, match='not installed: pip install transformers'):
        PersonDetector(rt_detr, device='cpu').prepare()
