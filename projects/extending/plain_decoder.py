"""A conditional decoder: noisy heatmaps and feature side by side, then convolutions."""

import torch
from mmpose.registry import MODELS
from torch import nn

from diffpose_mm.models import ConditionalDecoder


@MODELS.register_module()
class PlainDecoder(ConditionalDecoder):
    """Heatmaps twice as large as 𝔽, so coarser than the paper's and a quarter of the cost.

    Args:
        channels (int): Width of every layer. Defaults to 64.
        num_steps (int): Steps of the diffusion. Defaults to 1000.
    """

    def __init__(self, in_channels, num_keypoints, channels=64, num_steps=1000, init_cfg=None):
        super().__init__(in_channels, num_keypoints, init_cfg)
        self.num_steps = num_steps
        self.up = nn.ConvTranspose2d(in_channels, channels, kernel_size=4, stride=2, padding=1)
        self.noisy = nn.Conv2d(num_keypoints + 1, channels, kernel_size=3, padding=1)
        self.head = nn.Sequential(
            nn.SiLU(), nn.Conv2d(channels, num_keypoints, kernel_size=3, padding=1)
        )

    def check_size(self, feature_size, heatmap_size):
        """Heatmaps are twice as large as the feature."""
        if tuple(heatmap_size) != tuple(2 * size for size in feature_size):
            raise ValueError(
                f'PlainDecoder: heatmap_size={tuple(heatmap_size)} has to be twice the '
                f'feature_size={tuple(feature_size)}'
            )

    def prepare(self, feature):
        """Bring 𝔽 to the size of the heatmaps, once for all steps and hypotheses."""
        return self.up(feature)

    def denoise(self, x_t, t, prepared):
        """(N*R, K, 2H, 2W) noisy signals -> heatmaps of the same shape."""
        step = (t / self.num_steps).to(x_t.dtype)[:, None, None, None].expand_as(x_t[:, :1])
        noisy = self.noisy(torch.cat([x_t, step], dim=1))
        # The R maps of a sample are side by side: each meets its own feature.
        repeats = len(x_t) // len(prepared)
        return self.head(noisy + prepared.repeat_interleave(repeats, dim=0))
