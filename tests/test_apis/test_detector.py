"""A detector by name inside a run: which one it was is said, kept, and asked for again."""

import numpy as np
import pytest
from apis_helpers import moving_frames, read_json, write_video

from diffpose_mm.apis import DiffPoseInferencer, detector
from diffpose_mm.detectors import SHIPPED, Detections
from diffpose_mm.tools import infer


class Three:
    """A shipped detector that finds three people and a dog, the dog best."""

    names, fallback_label, clips = {0: 'dog', 4: 'person'}, None, True

    def __init__(self, device):
        self.device = device

    def prepare(self):
        pass

    def identity(self):
        return dict(library='diffpose_mm', weights='1234')

    def description(self):
        return 'three, which comes with diffpose_mm'

    def __call__(self, frames):
        boxes = np.array([[0, 0, 20, 20], [60, 5, 100, 85], [-9, 10, 45, 80], [50, 40, 70, 95]])
        one = Detections(boxes, np.array([0.99, 0.7, 0.9, 0.5]), np.array([0, 4, 4, 4]))
        return [one for _ in frames]


@pytest.fixture(autouse=True)
def three(monkeypatch):
    monkeypatch.setitem(SHIPPED, 'three', Three)


def test_a_short_name_runs_and_is_in_the_log(tiny_model, tmp_path, monkeypatch):
    """Broken if boxes of an unnamed detector could not be told from those of another."""
    said = []
    monkeypatch.setattr(detector, 'print_log', lambda text, *_: said.append(text))
    video = write_video(tmp_path / 'walk.avi', moving_frames(3))
    config, weights = tiny_model
    command = [video, '--config', config, '--checkpoint', weights, '--out', str(tmp_path / 'out'),
               '--device', 'cpu', '--no-video', '--det-model', 'three']  # fmt: skip
    assert infer.main([*command, '--max-people', '2', '--bbox-thr', '0.4'])['people'] == 6
    assert said == ['people are found by three, which comes with diffpose_mm']
    path = tmp_path / 'out/predictions/walk.json'
    first = read_json(path)
    assert first[0]['run']['people'] == dict(
        kind='detector', library='diffpose_mm', weights='1234', labels=['person'],
        bbox_thr=0.4, nms_thr=0.3, max_people=2,
    )  # fmt: skip
    people = first[0]['instances']
    np.testing.assert_allclose([p['bbox_score'] for p in people], [0.9, 0.7], atol=1e-6)
    assert people[0]['bbox'][0] == [0, 10, 45, 80], 'cut at the frame'
    with pytest.raises(SystemExit, match='another run.*max_people'):
        infer.main([*command, '--resume', '--bbox-thr', '0.4'])


def test_a_wrong_label_is_told_before_the_first_frame(tiny_model):
    inferencer = DiffPoseInferencer(
        *tiny_model, device='cpu', det_model='three', det_cat_ids=[4, 5]
    )
    with pytest.raises(ValueError, match='no label 5; it has 0 dog, 4 person'):
        inferencer(moving_frames(2))
