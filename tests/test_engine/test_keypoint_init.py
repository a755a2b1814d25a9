"""Heads of PoseTrack-17 started from weights of COCO-17, and back."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from diffpose_mm.engine.checkpoint import CheckpointError
from diffpose_mm.keypoint_sets import keypoint_set
from diffpose_mm.models.keypoint_rows import map_keypoint_rows

COCO, POSETRACK = keypoint_set('coco17').keypoints, keypoint_set('posetrack17').keypoints
SHARED = [name for name in COCO if name in POSETRACK]


def heatmap_head(**kwargs):
    init_default_scope('mmpose')
    config = dict(type='HeatmapHead', in_channels=8, out_channels=17, deconv_out_channels=(8, 8),
                  deconv_kernel_sizes=(4, 4), loss=dict(type='KeypointMSELoss'))  # fmt: skip
    return MODELS.build({**config, **kwargs})


def saved(head, path, prefix='head.'):
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    torch.save(
        {'state_dict': {prefix + name: tensor for name, tensor in head.state_dict().items()}}, path
    )
    return head


def test_a_coco_head_starts_the_fifteen_shared_keypoints(tmp_path):
    """Broken if the rows of the eyes become those of head_bottom and head_top."""
    coco = saved(heatmap_head(), tmp_path / 'coco.pth')
    cfg = dict(type='PretrainedKeypoints', checkpoint=str(tmp_path / 'coco.pth'),
               source='coco17', target='posetrack17')  # fmt: skip
    default = [dict(type='Normal', layer=['Conv2d', 'ConvTranspose2d'], std=0.001)]
    head = heatmap_head(init_cfg=[*default, cfg])
    head.init_weights()
    assert len(SHARED) == 15
    for name in SHARED:
        theirs, ours = COCO.index(name), POSETRACK.index(name)
        assert torch.equal(head.final_layer.weight[ours], coco.final_layer.weight[theirs]), name
        assert torch.equal(head.final_layer.bias[ours], coco.final_layer.bias[theirs]), name
    for name in ('head_bottom', 'head_top'):
        assert head.final_layer.weight[POSETRACK.index(name)].abs().max() < 0.01
    for name, tensor in head.state_dict().items():
        if not name.startswith('final_layer'):
            assert torch.equal(tensor, coco.state_dict()[name]), name


def test_rows_of_the_pose_decoder_go_both_in_and_out():
    """Its first layer reads a noisy heatmap a keypoint: rows are on the second axis there."""
    old = {
        'pose_decoder.time_rescale.conv.weight': torch.randn(4, 17, 3, 3),
        'pose_decoder.final_layer.weight': torch.randn(17, 4, 3, 3),
        'pose_decoder.other.weight': torch.randn(17, 17),
    }
    start = {name: torch.zeros_like(tensor) for name, tensor in old.items()}
    mapped, absent = map_keypoint_rows(old, start, COCO, POSETRACK)
    assert absent == ['head_bottom', 'head_top']
    for index, name in enumerate(POSETRACK):
        first = mapped['pose_decoder.time_rescale.conv.weight'][:, index]
        last = mapped['pose_decoder.final_layer.weight'][index]
        if name in absent:
            assert not first.any() and not last.any()
        else:
            place = COCO.index(name)
            assert torch.equal(first, old['pose_decoder.time_rescale.conv.weight'][:, place])
            assert torch.equal(last, old['pose_decoder.final_layer.weight'][place])
    assert torch.equal(mapped['pose_decoder.other.weight'], old['pose_decoder.other.weight'])
    assert not any(tensor.any() for tensor in start.values()), 'the initial weights were changed'


def test_a_set_of_another_size_fits_as_well():
    old = {'final_layer.bias': torch.arange(26.0)}
    halpe = keypoint_set('halpe26').keypoints
    mapped, absent = map_keypoint_rows(old, {'final_layer.bias': torch.full((17,), -1.0)}, halpe,
                                       COCO)  # fmt: skip
    assert absent == [] and mapped['final_layer.bias'].tolist() == [*range(17)]


@pytest.mark.parametrize(
    'rows, match', [(16, 'of the weights is for 16 keypoints, and the set that is named has 17')]
)
def test_rows_that_are_not_the_sets_are_refused(rows, match):
    with pytest.raises(ValueError, match=match):
        map_keypoint_rows({'final_layer.bias': torch.zeros(rows)},
                          {'final_layer.bias': torch.zeros(17)}, COCO, POSETRACK)  # fmt: skip


def test_a_checkpoint_without_the_head_is_refused(tmp_path):
    """Never silently random: under another prefix nothing fits."""
    saved(heatmap_head(), tmp_path / 'coco.pth', prefix='keypoint_head.')
    cfg = dict(type='PretrainedKeypoints', checkpoint=str(tmp_path / 'coco.pth'),
               source='coco17', target='posetrack17')  # fmt: skip
    with pytest.raises(CheckpointError, match="no weights under 'head.' that fit"):
        heatmap_head(init_cfg=cfg).init_weights()
