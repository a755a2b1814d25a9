"""What the tests of MoveNet share: the published graphs beside the repository, crops, pictures."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from record_movenet import drawn_picture, sampled

from diffpose_mm.models import MoveNetBackbone, MoveNetHead, MultiPose
from diffpose_mm.shipped import read_shipped

SHARED = Path(__file__).resolve().parents[3] / 'shared'
WEIGHTS = SHARED / 'real' / 'weights'
VIDEOS = SHARED / 'real' / 'videos'
RECORD = json.loads(Path(__file__).with_name('movenet.json').read_text())
needs_graphs = pytest.mark.skipif(not WEIGHTS.is_dir(), reason='the published graphs are not here')

__all__ = ['RECORD', 'drawn_picture', 'sampled']


def graph(name):
    """The published graph, run in float64 by an interpreter that shares no code with the package.

    In float32 both sides round, differently on different processors, to more than 1e-4 together.
    """
    sys.path.insert(0, str(SHARED / 'tools'))
    try:
        from tfjs_torch import Graph
    finally:
        sys.path.pop(0)
    network = Graph(str(WEIGHTS / f'{name}.json'))
    network.W = {k: v.double() if v.dtype == torch.float32 else v for k, v in network.W.items()}
    return network


def frame(video, index):
    """A frame of a real video, RGB."""
    reader = cv2.VideoCapture(str(VIDEOS / f'{video}.mp4'))
    reader.set(cv2.CAP_PROP_POS_FRAMES, index)
    found, image = reader.read()
    assert found
    return image[..., ::-1]


def normalised(picture):
    """HxWx3 RGB to (1, 3, H, W) as the networks want it."""
    image = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    return image * 0.00784302 - 1


def thunder(outputs):
    """Backbone and head of Thunder, with the weights that come along."""
    weights = read_shipped('movenet-thunder')[0]
    backbone, head = MoveNetBackbone(1.75, outputs), MoveNetHead()
    backbone.load_state_dict(weights)
    head.load_state_dict(
        {k.removeprefix('head.'): v for k, v in weights.items() if k.startswith('head.')}
    )
    return backbone.eval(), head.eval()


def multipose(**kwargs):
    """MultiPose, with the weights that come along."""
    network = MultiPose(**kwargs)
    network.load_state_dict(read_shipped('movenet-multipose')[0])
    return network.eval()
