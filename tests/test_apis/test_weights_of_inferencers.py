"""Inferencers take weights in any form and refuse those of another model, MMPose's own included."""

import numpy as np
import pytest
import torch
from apis_helpers import write_tiny
from mmpose.apis import MMPoseInferencer

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.loading import CheckpointError
from diffpose_mm.weights import write_safetensors

PICTURE = np.full((64, 48, 3), 90, np.uint8)


@pytest.fixture(scope='module')
def forms(tiny_model, tmp_path_factory):
    """The same weights as .pth, as safetensors, and in a folder."""
    config, path = tiny_model
    folder = tmp_path_factory.mktemp('forms') / 'model'
    folder.mkdir()
    weights = torch.load(path)
    weights = weights.get('state_dict', weights)
    with open(folder / 'model.safetensors', 'wb') as file:
        write_safetensors(file, weights)
    return config, dict(pth=path, file=str(folder / 'model.safetensors'), folder=str(folder))


def poses(kind, config, weights):
    inferencer = kind(config, weights, device='cpu', det_model='whole_image')
    (result,) = inferencer(PICTURE)
    return np.array(result['predictions'][0][0]['keypoints'])


@pytest.mark.parametrize('kind', [DiffPoseInferencer, MMPoseInferencer])
def test_any_form(kind, forms):
    """Broken if an unmodified MMPoseInferencer could read a .pth alone with our configs."""
    config, sources = forms
    expected = poses(kind, config, sources['pth'])
    for form in ('file', 'folder'):
        np.testing.assert_array_equal(poses(kind, config, sources[form]), expected)


def test_weights_of_a_folder_are_known_by_content(forms):
    """Broken if a run went on with other weights under the name of a folder."""
    config, sources = forms
    one = DiffPoseInferencer(config, sources['folder'], device='cpu', det_model='whole_image')
    assert len(one.identity['checkpoint']['weights']) == 16
    other = DiffPoseInferencer(config, sources['folder'], device='cpu', det_model='whole_image')
    assert one.identity == other.identity


@pytest.mark.parametrize('kind', [DiffPoseInferencer, MMPoseInferencer])
def test_another_model_is_refused(kind, forms, tmp_path):
    """Broken if mmpose posed people with weights that are random in part, after a warning."""
    config, _ = forms
    _, other = write_tiny(tmp_path, 'strl_synthetic.py')
    with pytest.raises(CheckpointError, match='(?s)of another architecture.*only in the model'):
        poses(kind, config, other)
