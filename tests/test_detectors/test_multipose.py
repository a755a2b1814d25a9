"""The person detector that comes along: frames of any size, and where its boxes lie."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import diffpose_mm.shipped
from diffpose_mm.detectors import find_detector, person_labels, select_persons
from diffpose_mm.detectors.multipose import MultiPoseDetector, fit
from diffpose_mm.models.movenet_multipose import MultiPosePeople

VIDEOS = Path(__file__).resolve().parents[3] / 'shared' / 'real' / 'videos'
needs_videos = pytest.mark.skipif(not VIDEOS.is_dir(), reason='the videos are not here')


def frame(video, index):
    reader = cv2.VideoCapture(str(VIDEOS / f'{video}.mp4'))
    reader.set(cv2.CAP_PROP_POS_FRAMES, index)
    return reader.read()[1]


@pytest.fixture(scope='module')
def detector():
    found = find_detector('movenet-multipose', device='cpu')
    found.prepare()
    return found


def people(detector, image, bbox_thr=0.3, nms_thr=0.3):
    labels = person_labels(detector.names)
    return select_persons(detector([image])[0], labels, image.shape[:2], bbox_thr, nms_thr)


@pytest.mark.parametrize(
    'size, side, inner, outer',
    [
        ((1080, 1920), 512, (288, 512), (288, 512)),
        ((1920, 1080), 256, (256, 144), (256, 160)),
        ((4, 4), 256, (256, 256), (256, 256)),
        ((4320, 7680), 512, (288, 512), (288, 512)),
        ((1, 3000), 256, (1, 256), (32, 256)),
    ],
)
def test_frames_of_any_size_fit(size, side, inner, outer):
    """Broken if a frame lost its proportions, or a thin one its last row."""
    picture, scale = fit(np.full((*size, 3), (10, 20, 30), np.uint8), side)
    assert picture.shape == (*outer, 3)
    assert (picture[: inner[0], : inner[1]] == (30, 20, 10)).all(), 'RGB'
    assert not picture[inner[0] :].any() and not picture[:, inner[1] :].any()
    np.testing.assert_allclose(scale, [inner[1] / size[1], inner[0] / size[0]] * 2)


class Stub(torch.nn.Module):
    """A network that finds the bright rectangle."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images):
        y, x = torch.nonzero(images[0, 0] > 0.5, as_tuple=True)
        box = torch.stack((x.min(), y.min(), x.max() + 1, y.max() + 1)).float()[None]
        score = torch.tensor([0.5 if images.shape[-1] > 300 else 0.6])
        return [MultiPosePeople(box, score, torch.zeros(1, 17, 2), torch.zeros(1, 17))]


def test_boxes_are_in_pixels_of_the_frame_and_both_sizes_give_one():
    """Broken if boxes stayed in the network's pixels, or a person counted once for each size."""
    detector = MultiPoseDetector('cpu')
    detector.network = Stub()
    image = np.zeros((720, 1280, 3), np.uint8)
    image[160:640, 320:480] = 255
    found = detector([image])[0]
    assert found.boxes.shape == (1, 4) and found.scores == pytest.approx([0.6])
    np.testing.assert_allclose(found.boxes[0], [320, 160, 480, 640], atol=5)


@needs_videos
def test_real_people_are_found(detector):
    """Broken if the detector that is there for everybody found nobody: three people, one, one."""
    found = people(detector, frame('pair_cam1', 20), nms_thr=0.5)
    assert len(found) == 3
    # Of a man, a woman and a bystander at the border, read off the frame.
    for box in ([275, 333, 683, 1178], [496, 779, 984, 1770], [0, 283, 134, 762]):
        assert np.abs(found[:, :4] - box).max(1).min() < 60, box
    assert len(people(detector, frame('squats', 0))) == 1
    assert len(people(detector, frame('dog', 100))) == 1


@needs_videos
def test_a_crowd_of_thirty(detector):
    """Broken if people beyond the six of the published graph were lost."""
    image = frame('juggle', 120)[:, 480:800]
    tile = cv2.resize(image, (200, 450))
    row = np.hstack([tile, tile[:, ::-1]] * 5)
    assert len(people(detector, np.vstack([row] * 3))) > 12


@pytest.mark.parametrize('size', [(4, 4), (1, 1), (2, 900), (4320, 7680)])
def test_odd_frames_have_nobody(detector, size):
    """Broken if a tiny, thin or huge frame ended in an error, or had people."""
    rng = np.random.default_rng(0)
    image = np.broadcast_to(rng.integers(0, 255, (*size[:1], 1, 3), np.uint8), (*size, 3))
    assert len(people(detector, np.ascontiguousarray(image))) == 0


def test_a_frame_does_not_depend_on_the_others(detector):
    """Broken if boxes changed with the batch size."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (90, 160, 3), np.uint8), np.zeros((200, 100, 3), np.uint8)]
    for together, alone in zip(detector(images), (detector([image])[0] for image in images)):
        np.testing.assert_array_equal(together.boxes, alone.boxes)
        np.testing.assert_array_equal(together.scores, alone.scores)


def test_damaged_weights_are_one_line(tmp_path, monkeypatch):
    """Broken if a cut file ended in a traceback, or was taken."""
    (tmp_path / 'movenet-multipose.safetensors').write_bytes(b'cut')
    monkeypatch.setattr(diffpose_mm.shipped, 'FOLDER', tmp_path)
    with pytest.raises(ValueError, match='is not the file that diffpose_mm comes with'):
        find_detector('movenet-multipose', device='cpu').prepare()


def test_identity_tells_weights_and_sizes(detector):
    """Broken if boxes of another detector could be continued with these."""
    assert (
        detector.identity()['weights'] == diffpose_mm.shipped.PUBLISHED['movenet-multipose'].sha256
    )
    assert detector.identity() != MultiPoseDetector(long_sides=(256,)).identity()
