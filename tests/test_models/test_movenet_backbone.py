"""MoveNet's backbone, against the published graphs: as they were recorded, and run here."""

import numpy as np
import pytest
import torch
from mmengine.model import BaseModule
from movenet_helpers import (
    RECORD,
    drawn_picture,
    frame,
    graph,
    multipose,
    needs_graphs,
    normalised,
    sampled,
    thunder,
)
from record_movenet import NODES, PICTURES

from diffpose_mm.models import MoveNetBackbone
from diffpose_mm.models.movenet_backbone import OUTPUTS, rounded_channels

FEATURES = [name for name in NODES if name != 'answer']


@pytest.fixture(scope='module')
def networks():
    """Backbone of each network, with the weights that come along and all features out."""
    backbones = {
        'movenet-thunder': thunder(FEATURES)[0],
        'movenet-multipose': multipose().backbone,
    }
    for backbone in backbones.values():
        backbone.outputs = tuple(FEATURES)
    return backbones


def assert_close(ours, theirs, name, scale):
    # Values of the features are up to 600; a float32 has seven digits.
    worst = np.abs(ours - theirs).max()
    assert worst < 1e-4 * max(1, scale / 10), f'{name}: {worst}'


@pytest.mark.parametrize('name', PICTURES)
@torch.no_grad()
def test_features_are_those_that_were_recorded(name, networks):
    """Broken if a layer, a padding, a channel or a weight were another than in the graph."""
    found = networks[name](normalised(drawn_picture(*PICTURES[name])))
    for key, ours in zip(FEATURES, found, strict=True):
        record = RECORD[name][key]
        n, h, w, c = record['shape']
        assert tuple(ours.shape) == (n, c, h, w)
        assert ours.shape[1] == networks[name].channels[key]
        assert_close(sampled(ours), np.array(record['samples']), key, record['highest'])


@needs_graphs
@pytest.mark.parametrize(
    'name, video, index, size',
    [
        ('movenet-thunder', 'dog', 60, (256, 256)),
        ('movenet-thunder', 'walk_and_roof', 120, (256, 256)),
        ('movenet-multipose', 'pair_cam1', 20, (256, 160)),
        ('movenet-multipose', 'juggle', 40, (96, 224)),
    ],
)
@torch.no_grad()
def test_features_are_those_of_the_graph_on_real_crops(name, video, index, size, networks):
    """Broken if features differed by more than 1e-4 on the pictures that they are for."""
    image = torch.from_numpy(frame(video, index).copy()).permute(2, 0, 1)[None].float()
    crop = torch.nn.functional.interpolate(image, size, mode='area').round()[0].permute(1, 2, 0)
    picture = crop.numpy().astype(np.uint8)
    expected = graph(name).run(
        torch.from_numpy(picture)[None].int(), [NODES[key] for key in FEATURES]
    )
    found = networks[name](normalised(picture))
    for key, ours, theirs in zip(FEATURES, found, expected, strict=True):
        theirs = theirs.permute(0, 3, 1, 2)
        assert_close(ours.numpy(), theirs.numpy(), key, float(theirs.abs().max()))


def test_any_multiple_of_32_and_nothing_else():
    """Broken if only square inputs fitted, or another size ended deep in the pyramid."""
    backbone = MoveNetBackbone(0.25, OUTPUTS).eval()
    with torch.no_grad():
        for size in ((32, 32), (64, 224), (160, 96)):
            for name, found in zip(OUTPUTS, backbone(torch.zeros(2, 3, *size)), strict=True):
                stride = int(name[1:])
                expected = (2, backbone.channels[name], size[0] // stride, size[1] // stride)
                assert tuple(found.shape) == expected, name
    for size in ((250, 256), (256, 100), (0, 32)):
        with pytest.raises(ValueError, match=r'multiples of 32: change input_size'):
            backbone(torch.zeros(1, 3, *size))


def test_the_last_output_has_seen_both():
    """Broken if what the neck reads lacked the pyramid's or MobileNet's half."""
    torch.manual_seed(0)
    backbone = MoveNetBackbone(0.25, ('c16', 'p16', 's16'))
    c16, p16, s16 = backbone(torch.randn(1, 3, 64, 64))
    assert torch.equal(s16, torch.cat((c16, p16), dim=1))


@pytest.mark.parametrize('outputs', [(), ('p4', 'p2')])
def test_unknown_outputs(outputs):
    """Broken if a slip in a config ended as a KeyError in the first step."""
    with pytest.raises(ValueError, match='must be some of c4, c8'):
        MoveNetBackbone(0.25, outputs)


def test_a_frozen_backbone_has_no_gradients():
    """Broken if a training with frozen features moved them."""
    assert not any(p.requires_grad for p in MoveNetBackbone(0.25, frozen=True).parameters())
    assert all(p.requires_grad for p in MoveNetBackbone(0.25).parameters())


@pytest.mark.parametrize('prefix', [None, 'backbone.'])
def test_weights_that_come_along_by_their_name(prefix):
    """Broken if init_cfg did not find them, or silently loaded nothing without a prefix."""
    init_cfg = dict(type='Pretrained', checkpoint='shipped://movenet-thunder')
    if prefix:
        init_cfg['prefix'] = prefix
    model = BaseModule()
    model.backbone = MoveNetBackbone(init_cfg=init_cfg)
    model.init_weights()
    expected = thunder(('p4',))[0].state_dict()
    found = model.backbone.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_channels_are_mobilenets():
    """Broken if the rule of rounding were another: table of the two published graphs."""
    thunders = [rounded_channels(1.75 * c) for c in (32, 16, 24, 32, 64, 96, 160, 320)]
    assert thunders == [56, 32, 40, 56, 112, 168, 280, 560]
    multiposes = [rounded_channels(1.5 * c) for c in (32, 16, 24, 32, 64, 96, 160, 320)]
    assert multiposes == [48, 24, 40, 48, 96, 144, 240, 480]
