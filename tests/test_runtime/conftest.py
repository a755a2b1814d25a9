import pytest
from runtime_helpers import CHECKPOINT, CONFIG

from diffpose_mm.tools import export


@pytest.fixture(scope='session')
def exported(tmp_path_factory):
    """The synthetic model as ONNX; not to be written to."""
    folder = tmp_path_factory.mktemp('exported') / 'model'
    export.main([CONFIG, '--checkpoint', CHECKPOINT, '--out', str(folder), '--licence', 'MIT'])
    return folder
