"""Property-based tests: how many cases, and how they are counted.

``suite`` is quick and always the same; ``long`` draws new cases every time. See the markers in
pyproject.toml::

    HYPOTHESIS_PROFILE=long pytest -m property
"""

import copy
import os
from collections import Counter
from functools import wraps

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


def json_values(leaves=5):
    """Anything that json can hold, not finite and very large numbers included."""
    text = st.text(max_size=5)
    simple = st.one_of(
        st.none(), st.booleans(), st.integers(-5, 5), st.integers(), st.floats(), text
    )
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)
        ),
        max_leaves=leaves,
    )


def _places(value):
    """Every (container, key) of a structure of lists and dicts."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return
    for key, inner in items:
        yield value, key
        yield from _places(inner)


@st.composite
def damaged(draw, content, changes=3):
    """A copy of json content with up to ``changes`` entries removed, replaced or repeated."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, changes))):
        places = list(_places(content))
        if not places:
            break
        # Of half of the changes the place is near the root, where there are few.
        last = draw(st.sampled_from([20, len(places)]))
        container, key = places[draw(st.integers(0, min(last, len(places)) - 1))]
        how = draw(st.sampled_from(['remove', 'replace', 'repeat']))
        if how == 'remove':
            del container[key]
        elif how == 'repeat' and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        else:
            container[key] = draw(json_values())
    return content
