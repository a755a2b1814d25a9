"""A tiny DiffPose with random weights, and a short video, for all tests of inference."""

import pytest
from apis_helpers import moving_frames, write_tiny, write_video
from mmengine.logging import MMLogger

from diffpose_mm.apis import DiffPoseInferencer


@pytest.fixture(scope='session', autouse=True)
def logger():
    """It keeps the stream of the moment it is made, which must not be that of a single test."""
    return MMLogger.get_current_instance()


@pytest.fixture(scope='session')
def tiny_model(tmp_path_factory):
    """(config, weights) of a tiny DiffPose."""
    return write_tiny(tmp_path_factory.mktemp('tiny'))


@pytest.fixture(scope='session')
def video(tmp_path_factory):
    """A video of seven frames."""
    return write_video(tmp_path_factory.mktemp('video') / 'walk.avi', moving_frames(7))


@pytest.fixture(scope='module')
def inferencer(tiny_model):
    """One that takes the whole picture for a person."""
    return DiffPoseInferencer(*tiny_model, device='cpu', det_model='whole_image')
