"""A temporal neck: the mean over the frames of a clip."""

from mmpose.registry import MODELS

from diffpose_mm.models import ClipNeck


@MODELS.register_module()
class MeanNeck(ClipNeck):
    """Merge the frames by their mean; a frame's place in time plays no part."""

    def fuse(self, tokens):
        """(N, T, C, H, W) -> (N, C, H, W)."""
        return tokens.mean(dim=1)
