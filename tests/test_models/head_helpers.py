"""A small DiffPose head, its samples, and a network that knows the answer."""

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample

from diffpose_mm.codecs import DiffusionHeatmap
from diffpose_mm.models import DiffPoseHead

K = 4
CODEC = dict(type='DiffusionHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1.5)
FLIP = [1, 0, 3, 2]


def make_head(**kwargs):
    torch.manual_seed(0)
    head = DiffPoseHead(
        in_channels=8,
        out_channels=K,
        pose_decoder=dict(
            type='PoseDecoder',
            channels=(16, 8, 8),
            out_channels=8,
            time_dims=16,
            num_heads=2,
            num_groups=4,
        ),
        decoder=CODEC,
        **kwargs,
    )
    head.init_weights()
    torch.nn.init.normal_(head.pose_decoder.final_layer.weight, std=0.3)
    return head.eval()


def make_sample(index, keypoints=None, visible=None):
    sample = PoseDataSample(
        metainfo=dict(
            img_id=100 + index,
            id=index,
            img_path=f'{index}.jpg',
            flip_indices=FLIP,
            input_size=(48, 64),
            input_center=np.array([10.0, 20.0]),
            input_scale=np.array([96.0, 128.0]),
        )
    )
    if keypoints is None:
        keypoints = np.random.RandomState(index).uniform(8, 40, (1, K, 2))
    encoded = DiffusionHeatmap((48, 64), (12, 16), sigma=1.5).encode(keypoints, visible)
    sample.gt_fields = PixelData(heatmaps=torch.from_numpy(encoded['heatmaps']))
    sample.gt_instance_labels = InstanceData(
        keypoint_weights=torch.from_numpy(encoded['keypoint_weights'])
    )
    return sample


class Oracle(torch.nn.Module):
    """Stands for a perfect network: it always answers with the same heatmaps."""

    def __init__(self, heatmaps):
        super().__init__()
        self.heatmaps, self.steps, self.inputs = heatmaps, [], []

    def forward(self, x_t, feature, t):
        self.steps.append(t)
        self.inputs.append(x_t)
        return self.heatmaps.repeat_interleave(len(x_t) // len(self.heatmaps), dim=0)


def predict(head, feature, samples, **test_cfg):
    with torch.no_grad():
        return head.predict((feature,), samples, test_cfg)
