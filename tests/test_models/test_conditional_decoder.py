"""The contract of conditional decoders: one that is not the paper's, of another heatmap size."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import nn

from diffpose_mm.models import ConditionalDecoder, DiffPoseHead, PoseDecoder

CODEC = dict(type='DiffusionHeatmap', input_size=(48, 64), heatmap_size=(6, 8), sigma=1.0)


class TwiceDecoder(ConditionalDecoder):
    """Heatmaps twice as large as the feature, without attention or scales."""

    def __init__(self, in_channels, num_keypoints):
        super().__init__(in_channels, num_keypoints)
        self.up = nn.ConvTranspose2d(in_channels, num_keypoints, 2, stride=2)
        self.join = nn.Conv2d(2 * num_keypoints, num_keypoints, 1)

    def prepare(self, feature):
        return self.up(feature)

    def denoise(self, x_t, t, prepared):
        repeats = len(x_t) // len(prepared)
        return self.join(torch.cat([x_t, prepared.repeat_interleave(repeats, dim=0)], dim=1))


@pytest.fixture
def head():
    torch.manual_seed(0)
    MODELS.register_module(module=TwiceDecoder, force=True)
    yield DiffPoseHead(8, 4, pose_decoder=dict(type='TwiceDecoder'), decoder=CODEC, noise_draws=2)
    MODELS.module_dict.pop('TwiceDecoder')


def make_sample(head, index):
    sample = PoseDataSample(metainfo=dict(img_id=index, id=index, flip_indices=[1, 0, 3, 2]))
    encoded = head.decoder.encode(np.full((1, 4, 2), 20.0))
    sample.gt_fields = PixelData(heatmaps=torch.from_numpy(encoded['heatmaps']))
    sample.gt_instance_labels = InstanceData(
        keypoint_weights=torch.from_numpy(encoded['keypoint_weights'])
    )
    return sample


def test_a_decoder_of_another_stride_trains_and_samples(head):
    """Broken if the head asked every decoder for heatmaps four times as large as the feature."""
    head.check_feature_size((3, 4))
    feats, samples = (torch.randn(2, 8, 4, 3),), [make_sample(head, i) for i in range(2)]
    head.loss(feats, samples)['loss_kpt'].backward()
    assert head.pose_decoder.up.weight.grad.abs().sum() > 0
    with torch.no_grad():
        assert head.forward(feats).shape == (2, 4, 8, 6)
        options = dict(sampling_steps=3, num_hypotheses=2, flip_test=True)
        for result in head.predict([feats, feats], samples, options):
            assert result.hypotheses.shape == (1, 2, 4, 2)


def test_forward_is_denoise_of_what_was_prepared(head):
    decoder = head.pose_decoder
    x_t, feature, t = torch.randn(6, 4, 8, 6), torch.randn(2, 8, 4, 3), torch.zeros(6).long()
    expected = decoder.denoise(x_t, t, decoder.prepare(feature))
    torch.testing.assert_close(decoder(x_t, feature, t), expected)


def test_denoise_has_to_be_implemented():
    decoder = ConditionalDecoder(8, 4)
    feature = torch.randn(1, 8, 4, 3)
    assert decoder.prepare(feature) is feature
    with pytest.raises(NotImplementedError, match='ConditionalDecoder has to implement denoise'):
        decoder(torch.randn(1, 4, 8, 6), feature, torch.zeros(1).long())


def test_the_papers_decoder_checks_its_own_size():
    decoder = PoseDecoder(8, 4, channels=(16, 8, 8), num_heads=2, num_groups=4)
    decoder.check_size((3, 4), (12, 16))
    with pytest.raises(ValueError, match=r'\(6, 8\).*four times.*\(3, 4\).*heatmap_size=\(12, 16'):
        decoder.check_size((3, 4), (6, 8))
