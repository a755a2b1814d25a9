"""The one error of this room: weights that cannot be had, read or used, said in one line."""


class WeightsError(RuntimeError):
    """Weights cannot be had, read, or used; the message names the source and what to do."""
