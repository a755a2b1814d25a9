"""Libraries that are imported where they are needed, with a line that says what to do if not."""

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType

REMEDIES = {
    'pyarrow': 'pyarrow 26 and later need NumPy 2; beside NumPy 1: pip install "pyarrow<26"'
}
"""Of libraries that can be installed beside what they then refuse."""


def missing_of(modules: Sequence[str]) -> list[str]:
    """Those modules whose library is not installed."""
    return [name for name in modules if importlib.util.find_spec(name.partition('.')[0]) is None]


def import_modules(modules: Sequence[str], what: str) -> list[ModuleType]:
    """Import modules of libraries that are installed.

    Args:
        modules: Names to import.
        what: What needs them.

    Raises:
        ImportError: One cannot be imported beside what else is installed; with its own reason.
    """
    found = []
    for name in modules:
        try:
            found.append(importlib.import_module(name))
        except ImportError as error:
            library = name.partition('.')[0]
            remedy = REMEDIES.get(library, 'install another release of one of them')
            raise ImportError(
                f'{what} needs {library}, which is installed but cannot be imported: {error} '
                f'({remedy})'
            ) from error
    return found
