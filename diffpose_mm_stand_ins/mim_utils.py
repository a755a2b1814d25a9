"""For ``mim.utils.utils`` of onedl-mim, which takes the first entry of RECORD for the package.

That is the folder of the metadata (``mmpose-1.3.2.dist-info``) wherever distribution and module
have one name, and the root of the repository where an install is editable; ``.mim`` is in neither.
"""

import functools
import os.path as osp
from importlib.metadata import distribution
from types import ModuleType


def correct(module: ModuleType) -> None:
    """Let ``get_installed_path`` prefer the folder of the package's name, where there is one."""
    if not hasattr(module, 'importlib_metadata'):  # openmim, which looks there itself
        return
    original = module.get_installed_path

    @functools.wraps(original)
    def get_installed_path(package: str) -> str:
        path = osp.join(str(distribution(package).locate_file('')), package)
        return path if osp.isdir(path) else original(package)

    module.get_installed_path = get_installed_path
