"""Libraries that a format is written with, imported when it is asked for."""

from collections.abc import Sequence
from types import ModuleType

from ..optional_modules import import_modules, missing_of


def check_installed(modules: Sequence[str], packages: str, what: str) -> None:
    """Raise unless all modules can be found.

    Args:
        modules: Names to import.
        packages: What to give to pip.
        what: What needs them.

    Raises:
        ModuleNotFoundError: With the command that installs them.
    """
    missing = missing_of(modules)
    if missing:
        verb = 'is' if len(missing) == 1 else 'are'
        raise ModuleNotFoundError(
            f'{what} needs {" and ".join(missing)}, which {verb} not installed: '
            f'pip install {packages}'
        )


def needed(*modules: str, packages: str, what: str) -> list[ModuleType]:
    """Import modules, see :func:`check_installed` and :func:`import_modules`."""
    check_installed(modules, packages, what)
    return import_modules(modules, what)
