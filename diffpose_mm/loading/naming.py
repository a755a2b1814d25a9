"""Checkpoints in other forms than torch's and with other names than mmpose's, as mmengine's."""

from mmengine.logging import print_log

from ..weights import WeightsError
from ..weights.architecture import heads_in_config_text, measure
from ..weights.file_reading import read_content
from ..weights.folding import check_expert
from ..weights.namings import MMPOSE, OTHER, naming_of
from ..weights.sources import find, split_expert
from ..weights.weights_reading import assemble
from .errors import CheckpointError, UnavailableError
from .metadata import decode_metadata

ARCHITECTURE = 'architecture'


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
        dict: ``state_dict``, ``meta``, and ``architecture`` where it is a vision transformer.

    Raises:
        UnavailableError: It is not there, or nobody gives it.
        CheckpointError: It cannot be used.
    """
    base, expert = split_expert(source)
    try:
        check_expert(expert, base)
        try:
            found = find(base)
        except WeightsError as error:
            raise UnavailableError(str(error)) from error
        weights = assemble(read_content(found.path), found, expert)
    except WeightsError as error:
        raise CheckpointError(str(error)) from error
    if weights.notes:
        print_log(f'{weights.origin}: {"; ".join(weights.notes)}', 'current')
    checkpoint = dict(state_dict=weights.state_dict, meta=decode_metadata(weights.meta))
    if weights.architecture is not None:
        checkpoint[ARCHITECTURE] = weights.architecture
    return checkpoint
