"""Pictures: predictions with their hypotheses, and figures of a run."""

from .clip_pose_visualizer import ClipPoseVisualizer
from .figures import (
    PosePanel,
    denoising_strip,
    overlay_heatmap,
    pose_sheet,
    read_scalars,
    training_curve,
)

__all__ = [
    'ClipPoseVisualizer',
    'PosePanel',
    'denoising_strip',
    'overlay_heatmap',
    'pose_sheet',
    'read_scalars',
    'training_curve',
]
