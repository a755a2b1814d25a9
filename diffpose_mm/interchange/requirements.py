"""Libraries that a format is written with, imported when it is asked for."""

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType


def check_installed(modules: Sequence[str], packages: str, what: str) -> None:
    """Raise unless all modules can be found.

    Args:
        modules: Names to import.
        packages: What to give to pip.
        what: What needs them.

    Raises:
        ModuleNotFoundError: With the command that installs them.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        verb = 'is' if len(missing) == 1 else 'are'
        raise ModuleNotFoundError(
            f'{what} needs {" and ".join(missing)}, which {verb} not installed: '
            f'pip install {packages}'
        )


def needed(*modules: str, packages: str, what: str) -> list[ModuleType]:
    """Import modules, see :func:`check_installed`."""
    check_installed(modules, packages, what)
    return [importlib.import_module(name) for name in modules]
