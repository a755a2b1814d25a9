"""What a conditional decoder is: the network f(x_t, 𝔽, t) of the diffusion."""

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor


class ConditionalDecoder(BaseModule):
    """Base class of the networks that :class:`DiffPoseHead` samples with, and their contract.

    One call takes noisy heatmaps x_t at step t, and the feature 𝔽 as condition, and predicts the
    heatmaps x̂0. It works in two steps. :meth:`prepare` computes what depends on 𝔽 alone;
    :meth:`denoise` does the rest. Sampling calls the first once and the second in every step, with
    all hypotheses at once.

    Shapes: N samples, R hypotheses (in training: draws of noise) of a sample, K keypoints.

    - 𝔽 (N, in_channels, H, W): the neck's feature, H x W about the input size over 16.
    - x_t (N*R, K, h, w): the noisy *signal* in about [-s, s], h x w the codec's heatmap. The R maps
      of a sample are side by side: map i belongs to sample i // R. R follows from the shapes and
      differs from call to call.
    - t (N*R,): int64 steps, 0 (nearly clean) to ``num_steps - 1`` (nearly pure noise).
    - x̂0 (N*R, K, h, w): *heatmaps* in about [0, 1], as the codec encodes them, not the signal.

    Args:
        in_channels (int): Channels of 𝔽; :class:`DiffPoseHead` passes its own.
        num_keypoints (int): K; :class:`DiffPoseHead` passes its ``out_channels``.
        init_cfg (dict, optional): mmengine's initialisation config.
    """

    def __init__(self, in_channels: int, num_keypoints: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.num_keypoints = num_keypoints

    def check_size(self, feature_size: tuple[int, int], heatmap_size: tuple[int, int]) -> None:
        """Raise if heatmaps of this size cannot be predicted from features of that one.

        Args:
            feature_size: (W, H) of 𝔽.
            heatmap_size: (w, h) of the codec.

        Raises:
            ValueError: They do not fit. Here any two do.
        """

    def prepare(self, feature: Tensor) -> Any:
        """What every step and hypothesis needs of 𝔽 (N, C, H, W). Here: 𝔽 itself."""
        return feature

    def denoise(self, x_t: Tensor, t: Tensor, prepared: Any) -> Tensor:
        """Predict x̂0 (N*R, K, h, w) from x_t, t and what :meth:`prepare` returned for N samples."""
        raise NotImplementedError(f'{type(self).__name__} has to implement denoise(x_t, t, ...)')

    def forward(self, x_t: Tensor, feature: Tensor, t: Tensor) -> Tensor:
        """f(x_t, 𝔽, t): one call from the start, as training needs it; shapes as above."""
        return self.denoise(x_t, t, self.prepare(feature))
