"""Property-based tests: how many cases, and how they are counted.

``suite`` is quick and always the same; ``long`` draws new cases every time. See the markers in
pyproject.toml::

    HYPOTHESIS_PROFILE=long pytest -m property
"""

import os
from collections import Counter
from functools import wraps

import pytest
from hypothesis import HealthCheck, given, settings

CASES: Counter = Counter()
"""Cases that were run, by name of the test."""

_UNCHECKED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def load_profile():
    common = dict(deadline=None, suppress_health_check=_UNCHECKED, print_blob=True)
    settings.register_profile('suite', max_examples=25, derandomize=True, database=None, **common)
    number = int(os.environ.get('HYPOTHESIS_CASES', 1000))
    settings.register_profile('long', max_examples=number, **common)
    settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'suite'))


def cases(*args, **kwargs):
    """hypothesis.given, marked and counted."""

    def decorate(test):
        @wraps(test)
        def counted(*test_args, **test_kwargs):
            CASES[test.__name__] += 1
            return test(*test_args, **test_kwargs)

        return pytest.mark.property(given(*args, **kwargs)(counted))

    return decorate
