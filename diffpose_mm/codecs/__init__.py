"""Keypoint codecs, registered in mmpose's KEYPOINT_CODECS."""

from .diffusion_heatmap import DiffusionHeatmap

__all__ = ['DiffusionHeatmap']
