"""The errors of this room."""


class CheckpointError(RuntimeError):
    """A checkpoint is missing, unreadable, or not one of the model it is meant for."""


class UnavailableError(CheckpointError):
    """A checkpoint cannot be had from where it was said to be, and may be had from elsewhere."""
