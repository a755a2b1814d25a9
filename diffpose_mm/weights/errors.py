"""The errors of this room, each said in one line."""


class WeightsError(RuntimeError):
    """Weights cannot be had, read, or used; the message names the source and what to do."""


class UnavailableWeightsError(WeightsError):
    """Weights are somewhere else and cannot be had from there now, or not by this user."""
