"""Reading configs: the ones of this package by name, and any by its path."""

import os
import os.path as osp
from contextlib import suppress
from pathlib import Path

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from .config_variables import assigned_names, check_variables, local_bases, read_with

ALIASES = dict(diffpose='diffpose_posetrack18')


def packaged_configs() -> dict[str, str]:
    """Names and paths of the configs that come with this package."""
    package = Path(__file__).resolve().parent
    # An installed package has a copy; in a working tree they stand beside the package.
    for folder in (package / '.mim' / 'configs', package.parent / 'configs'):
        if (folder / 'metafile.yml').is_file():
            return {path.stem: str(path) for path in sorted(folder.glob('*.py'))}
    return {}


def find_config(name: str | os.PathLike) -> str:
    """The path of a config: as given, or one of this package's by its name or alias.

    Raises:
        FileNotFoundError: Neither.
    """
    name = os.fspath(name)
    if osp.isfile(name):
        return name
    shipped = packaged_configs()
    # Only a bare name is looked up: a path that does not exist means another file.
    if name == osp.basename(name):
        stem = name.lower().removesuffix('.py')
        stem = ALIASES.get(stem, stem)
        if stem in shipped:
            return shipped[stem]
    raise FileNotFoundError(
        f'config {name} does not exist (in {os.getcwd()}); give a path, or one of '
        f'{", ".join(sorted(shipped))}'
    )


def read_config(name: str | os.PathLike) -> Config:
    """Read a config as every tool of this package does.

    More than ``Config.fromfile``: names of shipped configs are found, a setting that would change
    nothing is refused, and ``custom_imports`` of a config add to those of its bases, where
    mmengine replaces one list by the other.

    Args:
        name: A path, or the name of a config of this package.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: A variable is set that changes nothing, see
            :func:`~diffpose_mm.config_variables.check_variables`.
        ImportError: A module of ``custom_imports`` cannot be imported.
    """
    path = find_config(name)
    check_variables(path)
    cfg = Config.fromfile(path, import_custom_modules=False)
    if cfg.get('custom_imports'):
        with suppress(SyntaxError, ValueError):  # of files that only mmengine can read
            cfg.custom_imports.imports = list(dict.fromkeys(_imports(path)))
        try:
            import_modules_from_strings(**cfg.custom_imports)
        except ImportError as error:
            raise ImportError(
                f'config {path}: custom_imports names a module that cannot be imported ({error}); '
                'the folder that holds it has to be in PYTHONPATH'
            ) from error
    return cfg


def _imports(path: str) -> list[str]:
    """Modules that a config and its bases import, those of the bases first."""
    found = [module for base in local_bases(path) for module in _imports(base)]
    if 'custom_imports' in assigned_names(path):
        own = read_with([path], {})['custom_imports'] or {}
        modules = own.get('imports') or []
        found += [modules] if isinstance(modules, str) else modules
    return found
