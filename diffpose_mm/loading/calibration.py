"""What a checkpoint says of the spread of its model's hypotheses, given to the model."""

from collections.abc import Mapping
from typing import Any

from diffpose_mm_runtime.spread_calibration import SpreadCalibration

from .errors import CheckpointError

FIELD = 'spread_calibration'
"""Of the metadata of a checkpoint, and of the head."""


def take_calibration(model: Any, checkpoint: Mapping[str, Any], source: str) -> None:
    """Give the head the calibration that a checkpoint has; without one ``keypoint_std`` stays raw.

    Args:
        model: An estimator; one whose head draws no hypotheses is left as it is.
        checkpoint: As read, with ``meta`` if there is any.
        source: Its name, for errors.

    Raises:
        CheckpointError: The calibration is of another version, or broken.
    """
    head = getattr(model, 'head', None)
    if not hasattr(head, FIELD):
        return
    fitted = (checkpoint.get('meta') or {}).get(FIELD)
    try:
        setattr(head, FIELD, None if fitted is None else SpreadCalibration(fitted))
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f'checkpoint {source}: {error}') from None
