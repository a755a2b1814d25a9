"""For ``mmengine.utils.package_utils``, whose functions import pkg_resources.

Configs that inherit with ``mmpose::`` and mmengine's look-up of other scopes go through these.
"""

import importlib.util
import os.path as osp
import sys
from importlib.metadata import PackageNotFoundError, distribution
from types import ModuleType


def is_installed(package: str) -> bool:
    """Whether there is a distribution or an importable package of this name."""
    try:
        distribution(package)
        return True
    except PackageNotFoundError:
        spec = importlib.util.find_spec(package)
        return spec is not None and spec.origin is not None


def package2module(package: str) -> str:
    """Name of the module that a distribution brings.

    Raises:
        ValueError: If the distribution does not say.
    """
    names = (distribution(package).read_text('top_level.txt') or '').split()
    if not names:
        raise ValueError(f'can not infer the module name of {package}')
    return names[0]


def get_installed_path(package: str) -> str:
    """Folder of a package, by the name of its distribution or module.

    Raises:
        PackageNotFoundError: If there is none.
        RuntimeError: If it is a namespace package, which has no folder of its own.
    """
    try:
        location = str(distribution(package).locate_file(''))
    except PackageNotFoundError:
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise
        if spec.origin is None:
            raise RuntimeError(
                f'{package} is a namespace package, which is invalid for `get_install_path`'
            ) from None
        return osp.dirname(spec.origin)
    path = osp.join(location, package)
    return path if osp.exists(path) else osp.join(location, package2module(package))


def correct(module: ModuleType) -> None:
    """Replace the three functions, also where they have been imported to, if pkg_resources is gone.

    The names are looked up in the code, so that a release which does without is left alone.
    """
    if 'pkg_resources' not in module.is_installed.__code__.co_names:
        return
    if importlib.util.find_spec('pkg_resources') is not None:
        return
    for new in (is_installed, get_installed_path, package2module):
        old = getattr(module, new.__name__)
        for name, other in list(sys.modules.items()):
            if name.startswith('mmengine') and vars(other).get(new.__name__) is old:
                setattr(other, new.__name__, new)
        setattr(module, new.__name__, new)
