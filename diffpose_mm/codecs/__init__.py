"""Keypoint codecs, registered in mmpose's KEYPOINT_CODECS, and the consensus of hypotheses."""

from diffpose_mm_runtime.consensus import consensus, expected_oks

from .diffusion_heatmap import DiffusionHeatmap

__all__ = ['DiffusionHeatmap', 'consensus', 'expected_oks']
