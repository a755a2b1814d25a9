"""Which releases of torch and of OpenMMLab's libraries the package works beside.

The libraries come from one of two families, OpenMMLab's own and the fork that is kept up, whose
packages are called ``onedl-*`` and have the same modules. What can be imported is asked, not what
is called how; the packages' names decide only what the advice says.
"""

import os.path as osp
import re
import runpy
import sys
import warnings
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec

# Module -> lowest release, first release that is too high, what to give to pip.
TORCH = {
    # Before 2.6 a checkpoint could run code wherever mmengine reads one.
    'torch': ('2.6.0', '3.0.0', 'torch torchvision'),
}
OPENMMLAB = {
    'mmengine': ('0.10.0', '1.0.0', 'mmengine'),
    'mmcv': ('2.0.1', '2.2.0', 'mmcv-lite'),
    'mmdet': ('3.0.0', '3.4.0', 'mmdet'),
    'mmpretrain': ('1.0.0', '2.0.0', 'mmpretrain'),
    # Without dependencies: it asks for chumpy, which does not build and which it never imports.
    'mmpose': ('1.3.0', '2.0.0', '--no-deps mmpose'),
}
# There is no mmpose of theirs: OpenMMLab's stands beside the rest.
ONEDL = {
    'mmengine': ('0.10.8', '1.0.0', 'onedl-mmengine'),
    'mmcv': ('2.3.0', '3.0.0', 'onedl-mmcv'),
    'mmdet': ('3.4.0', '4.0.0', 'onedl-mmdetection'),
    'mmpretrain': ('1.3.0', '2.0.0', 'onedl-mmpretrain'),
    'mmpose': OPENMMLAB['mmpose'],
}
# Asked for when it is used: boxes can be given, and then nothing of it is needed.
OPTIONAL = ('mmdet',)
OPENCV = (
    'opencv-python',
    'opencv-python-headless',
    'opencv-contrib-python',
    'opencv-contrib-python-headless',
)


def check_requirements() -> None:
    """Raise unless torch and every library that is always needed is there in a release that fits.

    Raises:
        ImportError: Names the library, what is there and what to install.
    """
    distributions = _distributions()
    for name, found in distributions.items():
        if len(found) > 1:
            names = sorted(found)
            raise ImportError(
                f'{" and ".join(names)} are both installed and have overwritten parts of each '
                f'other, since both are the module {name}: pip uninstall -y {" ".join(names)}, '
                f'then pip install the one you want'
            )
    family = ONEDL if any(_is_onedl(found) for found in distributions.values()) else OPENMMLAB
    for name in (*TORCH, *OPENMMLAB):
        if name not in OPTIONAL:
            _check(name, family, distributions.get(name, set()))
    opencv = {name: found for name in OPENCV if (found := _release(name))}
    if len(set(opencv.values())) > 1:
        warnings.warn(
            f'{" and ".join(f"{name} {found}" for name, found in opencv.items())} are both '
            'installed and have overwritten parts of each other: pip uninstall -y '
            f'{" ".join(opencv)}, then pip install one of them',
            stacklevel=2,
        )


def check_detector_library() -> None:
    """Raise unless mmdet is there in a release that fits.

    Raises:
        ImportError: With what to install.
    """
    distributions = _distributions()
    own, others = distributions['mmdet'], set().union(*distributions.values())
    _check('mmdet', ONEDL if _is_onedl(own or others) else OPENMMLAB, own)


def _distributions() -> dict[str, set[str]]:
    """What each module was installed as.

    Python 3.10 finds a module's distribution only if that says so itself, which onedl-mmengine does
    not; the usual names are therefore asked for too.
    """
    declared = packages_distributions()
    found = {}
    for module in OPENMMLAB:
        usual = (module, f'{module}-lite', ONEDL[module][2].split()[-1])
        names = {name.replace('_', '-').lower() for name in declared.get(module, ())}
        found[module] = names | {name for name in usual if _release(name)}
    return found


def _is_onedl(distributions: set[str]) -> bool:
    return any(name.startswith('onedl') for name in distributions)


def _check(name: str, family: dict, distributions: set[str]) -> None:
    """Raise unless one module fits.

    Args:
        name: Of the module.
        family: Where to take it from if it is not there.
        distributions: What it was installed as. It is judged as one of the family it is of.
    """
    if distributions:
        family = ONEDL if _is_onedl(distributions) else OPENMMLAB
    lowest, too_high, package = {**TORCH, **family}[name]
    first, *others = package.split()
    if first.startswith('-'):
        package = f'{first} "{others[0]}>={lowest},<{too_high}"'
    else:
        package = ' '.join([f'"{first}>={lowest},<{too_high}"', *others])
    installed = module_version(name)
    if installed is None:
        raise ImportError(
            f'diffpose_mm needs {name}, which is not installed: pip install {package}'
        )
    if not _digits(lowest) <= _digits(installed) < _digits(too_high):
        raise ImportError(
            f'diffpose_mm needs {name} of at least {lowest} and below {too_high}, but {installed} '
            f'is installed: pip install {package}'
        )


def module_version(name: str) -> str | None:
    """Release of an importable module, None if there is none.

    The module itself is not imported: some raise where the release of another does not fit, in
    words that name no remedy.
    """
    if name in sys.modules:
        return getattr(sys.modules[name], '__version__', None)
    spec = find_spec(name)
    if spec is None or spec.origin is None:  # a folder without code is left by an uninstall
        return None
    file = osp.join(osp.dirname(spec.origin), 'version.py')
    if osp.isfile(file):
        return str(runpy.run_path(file).get('__version__'))
    return _release(name)


def _release(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _digits(release: str) -> tuple[int, ...]:
    """Major, minor and patch number; what follows them plays no part in the ranges above."""
    return tuple(int(digits) for digits in re.findall(r'\d+', release)[:3])
