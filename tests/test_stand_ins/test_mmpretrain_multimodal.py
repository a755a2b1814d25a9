"""mmpretrain's backbones are there whichever transformers is installed beside it."""

import importlib.util
import types

import pytest
from mmpretrain.utils import dependency
from test_stand_ins import run, write_package

from diffpose_mm_stand_ins import mmpretrain_multimodal

METADATA = 'Metadata-Version: 2.1\nName: transformers\nVersion: {}\n'
# As new releases are: mmpretrain's helpers find what they import, its language models do not.
LACKING = """
import sys, types
factory = types.ModuleType('transformers.models.auto.auto_factory')
factory._BaseAutoModelClass = type('_BaseAutoModelClass', (), {})
sys.modules[factory.__name__] = factory
for name in ('transformers.models', 'transformers.models.auto'):
    sys.modules[name] = types.ModuleType(name)
def __getattr__(name):
    if name.startswith('__') or 'GenerationMixin' in name:
        raise AttributeError(name)
    bases = (factory._BaseAutoModelClass,) if name.startswith('AutoModel') else ()
    return type(name, bases, dict(from_pretrained=None, from_config=None))
"""
REPORT = (
    'import json, sys, warnings; warnings.simplefilter("ignore")\n'
    'import mmpretrain.models\n'
    'from mmpretrain.registry import MODELS\n'
    'half = [name for name in sys.modules if name.startswith("mmpretrain.models.multimodal.")]\n'
    'try:\n'
    '    MODELS.get("BlipCaption")()\n'
    '    refusal = ""\n'
    'except ImportError as error:\n'
    '    refusal = str(error)\n'
    'print(json.dumps([MODELS.get("VisionTransformer").__module__, half, refusal]))'
)


def write_transformers(folder, version, code):
    """Something that passes for a release of transformers."""
    write_package(folder, 'transformers', __init__=code)
    metadata = folder / f'transformers-{version}.dist-info' / 'METADATA'
    metadata.parent.mkdir()
    metadata.write_text(METADATA.format(version))


def test_a_transformers_that_lacks_something_costs_the_language_models_alone(tmp_path):
    """Broken if ViT could not be imported, or parts of a failed import stayed behind."""
    write_transformers(tmp_path, '5.24.0', LACKING)
    backbone, half, refusal = run(REPORT, tmp_path)
    assert backbone == 'mmpretrain.models.backbones.vision_transformer'
    assert half == []
    # mmpretrain's own placeholder, which calls every one of these models by the last one's name.
    assert 'requires extra multi-modal dependencies' in refusal


def test_a_fault_that_is_not_of_transformers_comes_through(monkeypatch):
    """Broken if what fails without the language models too were run again and hidden."""

    class Loader:
        runs = 0

        def exec_module(self, module):
            self.runs += 1
            raise ValueError('another fault')

    loader = Loader()
    for multimodal, runs in ((False, 1), (True, 3)):
        monkeypatch.setattr(dependency, 'WITH_MULTIMODAL', multimodal)
        with pytest.raises(ValueError, match='another fault'):
            mmpretrain_multimodal.run(loader, types.ModuleType('mmpretrain.models.multimodal'))
        assert loader.runs == runs


@pytest.mark.skipif(
    importlib.util.find_spec('transformers') is None,
    reason='transformers is a requirement of the tests alone; what it lacks is simulated above',
)
def test_all_three_beside_each_other():
    """Broken if the real transformers and MMPose's ViT configs excluded each other."""
    code = (
        'import json, warnings; warnings.simplefilter("ignore")\n'
        'import mmpose.models, mmpretrain.models, diffpose_mm.models\n'
        'from mmpose.registry import MODELS\n'
        'from transformers import VitPoseForPoseEstimation\n'
        'print(json.dumps([MODELS.get("mmpretrain.VisionTransformer").__name__,\n'
        '                  VitPoseForPoseEstimation.__name__]))'
    )
    assert run(code) == ['VisionTransformer', 'VitPoseForPoseEstimation']
