"""Weights into models: read safely, compared with the model, and never half of them unsaid."""

from .digest import weights_digest
from .errors import CheckpointError, UnavailableError
from .fitting import Fit, fit_weights
from .metadata import decode_metadata, encode_metadata
from .naming import in_our_naming
from .reading import read_checkpoint
from .safety import forbid_loading_code, register_safe_globals, safe_globals
from .schemes import register_schemes
from .starting import (
    SCHEME,
    check_checkpoint,
    check_pretrained,
    compare,
    prepare,
    prepare_pretrained,
    prepare_start,
    start,
)

__all__ = [
    'SCHEME',
    'CheckpointError',
    'Fit',
    'UnavailableError',
    'check_checkpoint',
    'check_pretrained',
    'compare',
    'decode_metadata',
    'encode_metadata',
    'fit_weights',
    'forbid_loading_code',
    'in_our_naming',
    'prepare',
    'prepare_pretrained',
    'prepare_start',
    'read_checkpoint',
    'register_safe_globals',
    'register_schemes',
    'safe_globals',
    'start',
    'weights_digest',
]
