"""Which releases of torch and OpenMMLab's libraries the package works beside, checked at import."""

import re
from importlib.metadata import PackageNotFoundError, version

REQUIRED = {
    # Before 2.6 a checkpoint could run code wherever mmengine reads one.
    'torch': ('2.6.0', '3.0.0'),
    'mmengine': ('0.10.0', '1.0.0'),
    'mmcv': ('2.0.1', '2.2.0'),
    'mmdet': ('3.0.0', '3.4.0'),
    'mmpretrain': ('1.0.0', '2.0.0'),
    'mmpose': ('1.3.0', '2.0.0'),
}


def check_requirements() -> None:
    """Raise unless torch and every library of OpenMMLab is there in a release that fits.

    Raises:
        ImportError: Names the library, what is installed and what to install.
    """
    for name, (lowest, too_high) in REQUIRED.items():
        wanted = f'"{name}>={lowest},<{too_high}"'
        installed = _installed(name)
        if installed is None:
            raise ImportError(
                f'diffpose_mm needs {name}, which is not installed: mim install {wanted}'
            )
        if not _digits(lowest) <= _digits(installed) < _digits(too_high):
            raise ImportError(
                f'diffpose_mm needs {name} of at least {lowest} and below {too_high}, but '
                f'{installed} is installed: mim install {wanted}'
            )


def _installed(name: str) -> str | None:
    """Version of a library; mmcv built without operators goes by the name mmcv-lite."""
    for distribution in (name, f'{name}-lite'):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def _digits(release: str) -> tuple[int, ...]:
    """Major, minor and patch number; what follows them plays no part in the ranges above."""
    return tuple(int(digits) for digits in re.findall(r'\d+', release)[:3])
