"""Weights from wherever people have them, read as mmpose 1.x names them, and written."""

from .architecture import Architecture
from .errors import UnavailableWeightsError, WeightsError
from .folding import EXPERTS
from .hub import HubName, fetch
from .safetensors_format import read_safetensors, write_safetensors
from .weights_reading import Weights, read_weights, require_vitpose
from .weights_writing import check_target, write_hugging_face, write_mmpose
from .zoo import FILES as ZOO_FILES

__all__ = [
    'EXPERTS',
    'ZOO_FILES',
    'Architecture',
    'HubName',
    'UnavailableWeightsError',
    'Weights',
    'WeightsError',
    'check_target',
    'fetch',
    'read_safetensors',
    'read_weights',
    'require_vitpose',
    'write_hugging_face',
    'write_mmpose',
    'write_safetensors',
]
