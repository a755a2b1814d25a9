"""Checkpoints in other forms than torch's and with other names than mmpose's, as mmengine's."""

import re
from typing import Any

from .errors import CheckpointError, UnavailableError
from .metadata import decode_metadata

# Transformers' and ViTAE's names of a layer of ViT; mmpose's are backbone.layers.0.
FOREIGN = re.compile(
    r'(module\.)?(backbone\.)?(encoder\.layer\.\d+\.attention\.attention\.query'
    r'|blocks\.\d+\.attn\.qkv)\.'
)


def in_our_naming(checkpoint: dict, source: str) -> dict:
    """A checkpoint as it is, or read anew where its names are those of another ViTPose."""
    if not any(FOREIGN.match(key) for key in checkpoint['state_dict']):
        return checkpoint
    return read_foreign(source)


def read_foreign(source: str) -> dict:
    """Read what :func:`diffpose_mm.weights.read_weights` can, as a checkpoint of mmengine.

    Returns:
        dict: ``state_dict``, ``meta``, and ``architecture`` where it is known.

    Raises:
        UnavailableError: It is not there, or the hub does not give it.
        CheckpointError: It cannot be used.
    """
    from ..weights import WeightsError, hub, read_weights

    try:
        where: Any = source
        if hub.parse(source) is not None:
            try:
                where = hub.fetch(source)
            except WeightsError as error:
                raise UnavailableError(str(error)) from error
        weights = read_weights(where)
    except WeightsError as error:
        raise CheckpointError(str(error)) from error
    return dict(
        state_dict=dict(weights.state_dict),
        meta=decode_metadata(weights.meta),
        architecture=weights.architecture,
    )
