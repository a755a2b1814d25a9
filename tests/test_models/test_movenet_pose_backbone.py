"""MoveNet's answers as a feature: that they are MoveNet's, and where they stand in it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from movenet_helpers import drawn_picture, normalised, thunder
from record_movenet import PICTURES

from diffpose_mm.models import MoveNetPoseBackbone
from diffpose_mm.models.movenet_head import decode
from diffpose_mm.models.movenet_pose_backbone import (
    FEATURE_SCALE,
    HEATMAP_SCALE,
    PLACE_SCALE,
    STRIDE,
    place_maps,
)
from diffpose_mm.shipped import read_shipped

SIZE = (256, 192)


@pytest.fixture(scope='module')
def backbone():
    """With the weights that come along."""
    found = MoveNetPoseBackbone(frozen=True)
    found.load_state_dict(read_shipped('movenet-thunder')[0])
    return found.eval()


@pytest.fixture(scope='module')
def picture():
    """A crop that is higher than wide."""
    name = next(iter(PICTURES))
    image = drawn_picture(*PICTURES[name])
    return normalised(np.resize(image, (*SIZE, 3)))


@torch.no_grad()
def test_parts_of_the_feature_are_what_movenet_says(backbone, picture):
    """Broken if heatmaps lost values on their way to stride 16, or channels were mixed up."""
    plain, head = thunder(('p4', 's16'))
    p4, s16 = plain(picture)
    maps = head.answers((p4,))
    (feature,) = backbone(picture)
    assert feature.shape == (1, backbone.out_channels, 16, 12)
    assert backbone.out_channels == 200 + 17 * 17
    looks, heatmaps, places = feature.split((200, 16 * 17, 17), dim=1)
    torch.testing.assert_close(looks / FEATURE_SCALE, s16)
    torch.testing.assert_close(F.pixel_shuffle(heatmaps / HEATMAP_SCALE, STRIDE), maps['heatmap'])
    # MoveNet's own decoding, from what the feature holds: the joints are the model's.
    joints, _ = decode(maps)
    shown = F.pixel_shuffle(heatmaps, STRIDE)[0]
    for k, (x, y) in enumerate(joints[0]):
        row = min(max(int(y), 0), shown.shape[1] - 1)
        column = min(max(int(x), 0), shown.shape[2] - 1)
        around = shown[k, max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
        assert around.max() > 0
    assert 0 < places.max() <= PLACE_SCALE


def test_places_are_where_they_are():
    """Broken if x and y were exchanged, or the middle of a pixel were its corner."""
    joints = torch.tensor([[[2.5, 7.0], [5.5, 1.5]]])  # x of two joints, then y
    maps = place_maps(joints, (8, 10))
    assert maps.shape == (1, 2, 8, 10)
    assert maps[0, 0, 5, 2] == 1 and maps[0, 0].argmax() == 5 * 10 + 2
    # Between two pixels both see it alike.
    assert maps[0, 1, 1, 6] == pytest.approx(float(maps[0, 1, 1, 7]))
    assert maps[0, 0, 5, 3] == pytest.approx(np.exp(-0.5))
    assert maps[0, 0, 7, 4] == pytest.approx(np.exp(-4))


@torch.no_grad()
def test_a_place_far_outside_is_nowhere():
    """Broken if a joint outside of the crop were shown at its border."""
    assert place_maps(torch.tensor([[[-30.0], [4.0]]]), (8, 6)).max() < 1e-6


def test_weights_of_a_whole_movenet_and_its_own_are_taken(backbone, picture):
    """Broken if a checkpoint of ours, which has the heads inside, could not be read again."""
    again = MoveNetPoseBackbone()
    again.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(picture), backbone(picture))
    assert not any(key.startswith('branches.offset') for key in backbone.state_dict())
    assert all(not value.requires_grad for value in backbone.parameters())
    assert all(value.requires_grad for value in again.parameters())


def test_half_a_movenet_is_refused():
    """Broken if weights without heads gave heatmaps of random weights."""
    weights = read_shipped('movenet-thunder')[0]
    headless = {k: v for k, v in weights.items() if not k.startswith('head.branches.heatmap')}
    with pytest.raises(RuntimeError, match='branches.heatmap'):
        MoveNetPoseBackbone().load_state_dict(headless)
