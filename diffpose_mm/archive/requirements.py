"""Libraries that only an archive needs, imported when they are."""

import importlib
import importlib.util
from types import ModuleType

PACKAGES = dict(pyarrow="pip install 'diffpose_mm[archive]'", ray="pip install 'diffpose_mm[ray]'")


def needed(*modules: str) -> list[ModuleType]:
    """Import modules of pyarrow or of ray.

    Raises:
        ModuleNotFoundError: With the command that installs what is missing.
    """
    for module in modules:
        root = module.partition('.')[0]
        if importlib.util.find_spec(root) is None:
            raise ModuleNotFoundError(
                f'an archive needs {root}, which is not installed: {PACKAGES[root]}'
            )
    return [importlib.import_module(module) for module in modules]
