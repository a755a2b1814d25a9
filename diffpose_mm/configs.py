"""The configs of this package by name."""

import os
import os.path as osp
from pathlib import Path

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
    known = packaged_configs()
    # Only a bare name is looked up: a path that does not exist means another file.
    if name == osp.basename(name):
        stem = name.lower().removesuffix('.py')
        stem = ALIASES.get(stem, stem)
        if stem in known:
            return known[stem]
    raise FileNotFoundError(
        f'config {name} does not exist (in {os.getcwd()}); give a path, or one of '
        f'{", ".join(sorted(known))}'
    )
