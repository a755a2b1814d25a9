"""Checks that settings of smoothers share."""

from __future__ import annotations

import math
from typing import Any


def positive(settings: Any, *names: str, or_zero: bool = False) -> None:
    """Raise ValueError unless the fields are finite numbers above zero.

    Args:
        settings: What has the fields.
        *names: Of the fields.
        or_zero: Zero is allowed.
    """
    for name in names:
        value = getattr(settings, name)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (is_number and math.isfinite(value) and (value > 0 or (or_zero and value == 0))):
            least = 'at least 0' if or_zero else 'positive'
            raise ValueError(f'{name}={value!r} has to be a number, {least}')
