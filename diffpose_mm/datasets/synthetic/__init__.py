"""Synthetic PoseTrack: videos of people who are not real, written as PoseTrack18 writes them.

Needs numpy, OpenCV and rich only. ``synthesize`` writes a data set; ``Scene`` and ``render`` are
the world and the camera behind it.
"""

from .generate import generate_video, make_scene, statistics, synthesize, video_name, video_seed
from .labels import annotate, occlusion
from .render import RenderedFrame, render
from .scene import DIFFICULTIES, Difficulty, Scene

__all__ = [
    'DIFFICULTIES',
    'Difficulty',
    'RenderedFrame',
    'Scene',
    'annotate',
    'generate_video',
    'make_scene',
    'occlusion',
    'render',
    'statistics',
    'synthesize',
    'video_name',
    'video_seed',
]
