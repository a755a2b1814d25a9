"""Synthetic PoseTrack: videos of people who are not real, written as PoseTrack18 writes them.

Needs numpy, OpenCV and rich only. ``synthesize`` writes a data set; ``Scene`` and ``render`` are
the world and the camera behind it.
"""

from .difficulty import DIFFICULTIES, Difficulty
from .generate import generate_video, make_scene, statistics, synthesize, video_name, video_seed
from .labels import annotate, occlusion
from .render import RenderedFrame, render
from .scene import Scene

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
