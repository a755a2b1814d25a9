"""mmpose's heatmap head for training in bfloat16: the baselines' head."""

from mmpose.models.heads import HeatmapHead
from mmpose.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class Float32HeatmapHead(HeatmapHead):
    """:class:`mmpose.HeatmapHead` with float32 output.

    Loss, accuracy and decoding of mmpose go through numpy, which has no bfloat16, so the original
    cannot be trained under bfloat16 autocast.

    Args and errors are those of :class:`mmpose.HeatmapHead`.
    """

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Heatmaps (N, K, H, W), float32, of the last feature."""
        return super().forward(feats).float()
