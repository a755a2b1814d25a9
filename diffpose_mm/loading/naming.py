"""Checkpoints in other forms than torch's and with other names than mmpose's, as mmengine's."""

import os.path as osp

from mmengine.logging import print_log

from ..weights import WeightsError, read_weights
from ..weights.architecture import heads_in_config_text, measure
from ..weights.errors import UnavailableWeightsError
from ..weights.hub import SCHEME
from ..weights.namings import MMPOSE, OTHER, naming_of
from ..weights.sources import split_expert
from .errors import CheckpointError, UnavailableError
from .metadata import decode_metadata

ARCHITECTURE, ORIGIN = 'architecture', 'origin'


def in_our_naming(checkpoint: dict, source: str) -> dict:
    """A checkpoint of torch, read anew where its names are those of another ViTPose.

    Returns:
        dict: With ``architecture``, where it is a vision transformer.
    """
    state = checkpoint['state_dict']
    naming, prefix = naming_of(key.removeprefix('module.') for key in state)
    if naming == OTHER:
        return checkpoint
    if naming != MMPOSE:
        return read_foreign(source)
    heads = heads_in_config_text((checkpoint.get('meta') or {}).get('cfg'))
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    architecture = measure(state, prefix, heads, 'the config in the file')
    return checkpoint if architecture is None else {**checkpoint, ARCHITECTURE: architecture}


def read_foreign(source: str) -> dict:
    """Read what :mod:`diffpose_mm.weights` can, as a checkpoint of mmengine.

    What was chosen and folded is logged.

    Args:
        source: See :func:`diffpose_mm.weights.read_weights`.

    Returns:
        dict: ``state_dict``, ``meta``, ``origin``, and ``architecture`` where it is a vision
        transformer.

    Raises:
        UnavailableError: It is not there, or nobody gives it.
        CheckpointError: It cannot be used.
    """
    try:
        weights = read_weights(source)
    except WeightsError as error:
        away = isinstance(error, UnavailableWeightsError) or not _is_there(source)
        raise (UnavailableError if away else CheckpointError)(str(error)) from error
    if weights.notes:
        print_log(f'{weights.origin}: {"; ".join(weights.notes)}', 'current')
    checkpoint: dict = dict(state_dict=weights.state_dict, meta=decode_metadata(weights.meta))
    checkpoint[ORIGIN] = weights.origin
    if weights.architecture is not None:
        checkpoint[ARCHITECTURE] = weights.architecture
    return checkpoint


def _is_there(source: str) -> bool:
    """Whether a source is not one on this machine, or one that exists."""
    if source.startswith((SCHEME, 'http://', 'https://')):
        return True
    return osp.exists(osp.expanduser(split_expert(source)[0]))
