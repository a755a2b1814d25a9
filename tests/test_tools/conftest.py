"""A model that has been trained for an epoch."""

import pytest
from tools_helpers import CONFIG, arguments

from diffpose_mm.tools import train
from diffpose_mm.visualization import ClipPoseVisualizer


@pytest.fixture(autouse=True)
def own_visualizer():
    """mmengine keeps visualizers by name, with the folder of the first run in the process."""
    yield
    ClipPoseVisualizer._instance_dict.clear()


@pytest.fixture(scope='session')
def trained(tmp_path_factory, tiny_posetrack):
    """Work directory of one epoch of training; not to be written to."""
    ClipPoseVisualizer._instance_dict.clear()
    work_dir = tmp_path_factory.mktemp('trained')
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    train.main(arguments(CONFIG, data_root=tiny_posetrack, work_dir=work_dir, options=options))
    return work_dir
