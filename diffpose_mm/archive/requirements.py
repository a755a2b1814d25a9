"""Libraries that only an archive needs, imported when they are."""

from types import ModuleType

from ..optional_modules import import_modules, missing_of

PACKAGES = dict(pyarrow="pip install 'diffpose_mm[archive]'", ray="pip install 'diffpose_mm[ray]'")


def needed(*modules: str) -> list[ModuleType]:
    """Import modules of pyarrow or of ray.

    Raises:
        ModuleNotFoundError: With the command that installs what is missing.
        ImportError: What is installed cannot be imported.
    """
    for module in missing_of(modules):
        root = module.partition('.')[0]
        raise ModuleNotFoundError(
            f'an archive needs {root}, which is not installed: {PACKAGES[root]}'
        )
    return import_modules(modules, 'an archive')
