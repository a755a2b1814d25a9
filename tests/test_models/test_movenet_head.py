"""MoveNet's heads and their decoding, against the published graph and a plain loop."""

import numpy as np
import pytest
import torch
from mmpose.structures import PoseDataSample
from movenet_helpers import RECORD, drawn_picture, frame, graph, needs_graphs, normalised, thunder

from diffpose_mm.models.movenet_head import (
    CENTER_DISTANCE,
    JOINT_DISTANCE,
    MoveNetHead,
    decode,
    unflip,
)

HEATMAP = 'StatefulPartitionedCall/Sigmoid'
COCO_FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


@pytest.fixture(scope='module')
def network():
    return thunder(('p4',))


@torch.no_grad()
def test_joints_are_those_that_were_recorded(network):
    """Broken if heads or decoding were others than the graph's."""
    backbone, head = network
    found = head.predict(backbone(normalised(drawn_picture(256, 256))), None)[0]
    expected = np.array(RECORD['movenet-thunder']['answer']['values']).reshape(17, 3)
    np.testing.assert_allclose(found.keypoints[0], expected[:, 1::-1] * 256, atol=1e-3)
    np.testing.assert_allclose(found.keypoint_scores[0], expected[:, 2], atol=1e-5)


@needs_graphs
@pytest.mark.parametrize('video, index, top', [('dog', 60, 0), ('pair_cam1', 20, 500)])
@torch.no_grad()
def test_heatmaps_and_joints_are_those_of_the_graph_on_real_crops(network, video, index, top):
    """Broken if heatmaps differed by more than 1e-4: one person, and two who overlap."""
    image = frame(video, index)
    side = min(image.shape[:2])
    image = torch.from_numpy(image[top : top + side, :side].copy()).permute(2, 0, 1)[None].float()
    picture = torch.nn.functional.interpolate(image, (256, 256), mode='area').round()
    picture = picture[0].permute(1, 2, 0).numpy().astype(np.uint8)
    heatmaps, answer = graph('movenet-thunder').run(
        torch.from_numpy(picture)[None].int(), [HEATMAP, 'Identity']
    )
    backbone, head = network
    features = backbone(normalised(picture))
    np.testing.assert_allclose(
        head(features).numpy(), heatmaps.permute(0, 3, 1, 2).numpy(), atol=1e-4
    )
    found = head.predict(features, None)[0]
    expected = answer.numpy()[0, 0]
    np.testing.assert_allclose(found.keypoints[0], expected[:, 1::-1] * 256, atol=0.01)
    np.testing.assert_allclose(found.keypoint_scores[0], expected[:, 2], atol=1e-4)


def random_maps(seed=0, people=2, joints=17, size=(12, 16)):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(people, *shape, *size, generator=generator)

    return dict(
        center=draw(1),
        heatmap=draw(joints),
        regression=8 * draw(2, joints) - 4,
        offset=draw(2, joints),
    )


def test_decoding_is_that_of_a_plain_loop():
    """Broken if axes, rounding or the weights by distance were mixed up."""
    maps = random_maps()
    points, scores = decode(maps)
    height, width = maps['heatmap'].shape[2:]
    for n in range(2):
        best = max(
            ((r, c) for r in range(height) for c in range(width)),
            key=lambda rc: (
                maps['center'][n, 0, rc[0], rc[1]]
                / (np.hypot(rc[0] - height / 2, rc[1] - width / 2) + CENTER_DISTANCE)
            ),
        )
        for k in range(17):
            x, y = (maps['regression'][n, a, k, best[0], best[1]] + best[1 - a] for a in (0, 1))
            r, c = max(
                ((r, c) for r in range(height) for c in range(width)),
                key=lambda rc: (
                    maps['heatmap'][n, k, rc[0], rc[1]]
                    / (np.hypot(rc[0] - float(y), rc[1] - float(x)) + JOINT_DISTANCE)
                ),
            )
            offset = maps['offset'][n, :, k, r, c]
            np.testing.assert_allclose(points[n, k], [c + offset[0], r + offset[1]], atol=1e-5)
            assert scores[n, k] == maps['heatmap'][n, k, r, c]


def test_unflipping_mirrors_the_joints():
    """Broken if left and right, or a heatmap pixel's two edges, were not exchanged."""
    maps = random_maps(joints=17)
    generator = torch.Generator().manual_seed(1)
    for name in ('center', 'heatmap'):  # one clear peak each
        flat = torch.full_like(maps[name], 0.001).flatten(2)
        peaks = torch.randint(flat.shape[2], flat.shape[:2], generator=generator)
        maps[name] = flat.scatter(2, peaks[..., None], 1.0).view_as(maps[name])
    points, scores = decode(maps)
    mirrored, mirrored_scores = decode(unflip(maps, COCO_FLIP))
    expected = points[:, COCO_FLIP]
    expected[..., 0] = maps['heatmap'].shape[3] - expected[..., 0]
    np.testing.assert_allclose(mirrored, expected, atol=1e-5)
    assert torch.equal(mirrored_scores, scores[:, COCO_FLIP])


@torch.no_grad()
def test_flip_test_averages_all_answers(network):
    """Broken if coordinates were averaged, or the mirrored answers were not turned back."""
    backbone, head = network
    image = normalised(drawn_picture(256, 256))
    pair = [backbone(image), backbone(image.flip(-1))]
    sample = PoseDataSample(metainfo=dict(flip_indices=COCO_FLIP))
    found, fields = head.predict(pair, [sample], dict(flip_test=True, output_heatmaps=True))
    maps, mirrored = head.answers(pair[0]), unflip(head.answers(pair[1]), COCO_FLIP)
    maps = {key: (maps[key] + mirrored[key]) / 2 for key in maps}
    points, scores = decode(maps)
    np.testing.assert_allclose(found[0].keypoints, points.numpy() * 4)
    np.testing.assert_allclose(fields[0].heatmaps, maps['heatmap'][0])
    np.testing.assert_allclose(found[0].keypoint_scores, scores.numpy())


@needs_graphs
@torch.no_grad()
def test_a_mirrored_crop_of_a_person_has_the_same_joints(network):
    """Broken if the mirrored crop's joints, turned back, stood beside the crop's."""
    backbone, head = network
    image = np.ascontiguousarray(frame('juggle', 120)[:, 280:1000])
    crop = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    crop = torch.nn.functional.interpolate(crop, (256, 256), mode='area') * 0.00784302 - 1
    straight = decode(head.answers(backbone(crop)))[0]
    turned = decode(unflip(head.answers(backbone(crop.flip(-1))), COCO_FLIP))[0]
    assert (straight - turned).norm(dim=-1).median() * 4 < 2, 'input pixels'


def test_only_the_heatmaps_are_trained():
    """Broken if weights without a loss waited for gradients."""
    head = MoveNetHead()
    trained = {name.split('.')[1] for name, p in head.named_parameters() if p.requires_grad}
    assert trained == {'heatmap'}
