"""MoveNet MultiPose, against the published graph: as it was recorded, and run here."""

import numpy as np
import pytest
import torch
from movenet_helpers import RECORD, drawn_picture, frame, graph, multipose, needs_graphs, normalised


def assert_people_are(people, expected, size, atol):
    """`expected` is the graph's answer: 17 times y, x, score; the box; the score; over 1."""
    height, width = size
    expected = np.asarray(expected).reshape(6, 56)
    joints = expected[:, :51].reshape(6, 17, 3)
    np.testing.assert_allclose(
        people.boxes / torch.tensor([width, height] * 2), expected[:, [52, 51, 54, 53]], atol=atol
    )
    np.testing.assert_allclose(people.scores, expected[:, 55], atol=atol)
    np.testing.assert_allclose(people.keypoint_scores, joints[..., 2], atol=atol)
    np.testing.assert_allclose(
        people.keypoints / torch.tensor([width, height]), joints[..., 1::-1], atol=atol
    )


@torch.no_grad()
def test_people_are_those_that_were_recorded():
    """Broken if heads or decoding were others than the graph's."""
    people = multipose()(normalised(drawn_picture(160, 256)))[0]
    expected = RECORD['movenet-multipose']['answer']['values']
    assert_people_are(people, expected, (160, 256), 1e-4)


@needs_graphs
@pytest.mark.parametrize(
    'video, index, size', [('pair_cam1', 20, (256, 160)), ('dog', 9, (160, 256))]
)
@torch.no_grad()
def test_people_are_those_of_the_graph_on_real_frames(video, index, size):
    """Broken if boxes, joints or scores differed on the frames that they are for."""
    image = torch.from_numpy(frame(video, index).copy()).permute(2, 0, 1)[None].float()
    picture = torch.nn.functional.interpolate(image, size, mode='area').round()
    picture = picture[0].permute(1, 2, 0).numpy().astype(np.uint8)
    expected = graph('movenet-multipose').run(torch.from_numpy(picture)[None].int(), ['Identity'])
    people = multipose()(normalised(picture))[0]
    assert people.scores.max() > 0.4
    assert_people_are(people, expected[0], size, 1e-4)


@torch.no_grad()
def test_weak_centres_are_left_out_and_more_than_six_people_fit():
    """Broken if a crowd were cut at six, or an empty picture were an error."""
    image = normalised(drawn_picture(160, 256))
    network = multipose(num_people=40)
    assert len(network(image)[0].boxes) == 40
    network.min_strength = 0.9
    nobody = network(image)[0]
    assert [tuple(part.shape) for part in nobody] == [(0, 4), (0,), (0, 17, 2), (0, 17)]


@torch.no_grad()
def test_pictures_of_a_batch_do_not_mix():
    """Broken if people of one picture were decoded with the maps of another."""
    network = multipose()
    images = torch.cat(
        [normalised(drawn_picture(96, 96)), normalised(drawn_picture(96, 96)[::-1].copy())]
    )
    for together, alone in zip(network(images), (network(images[i : i + 1])[0] for i in (0, 1))):
        np.testing.assert_allclose(together.scores, alone.scores, atol=1e-6)
        np.testing.assert_allclose(together.boxes[:1], alone.boxes[:1], atol=1e-2)
