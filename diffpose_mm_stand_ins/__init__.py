"""What takes the place of parts of old releases that fail beside current Python and numpy.

mmpose 1.3.2 and what it stands on are last releases; nothing will be mended there. Each entry below
is for one fault of one release, and inert where the real thing is there and right:

========================= ================================================ =========================
release                   fault                                            what happens here
========================= ================================================ =========================
mmcv-lite 2.1.0,          no ``mmcv._ext``, so mmpose and mmdet cannot be  ``mmcv_ext``: nms, and
onedl-mmcv 2.3.6          imported                                         an error for the rest
xtcocotools 1.14.3        no wheel from Python 3.12 on, no source build    ``xtcocotools``, over
                          from 3.13 on                                     pycocotools
xtcocotools 1.14.3        wheels are for numpy 1 only; built for numpy 2,  ``xtcocotools_mask``:
                          ``mask.iou`` and ``decode`` fail                 pycocotools' own
mmengine 0.10.7           needs pkg_resources (``mmpose::`` in configs),   ``package_utils``
                          gone in setuptools 82
onedl-mim 0.5.1           takes another folder for the package's           ``mim_utils``
mmpose 1.3.2              cannot be imported without mmdet                 ``mmdet_utils``
mmpose 1.3.2              draws a circle with an array of one number for   ``drawing``
                          radius, an error from numpy 2.4 on
mmpretrain 1.2.0          cannot be imported beside transformers 4.52 and  ``mmpretrain_multimodal``
                          later, for its optional language models
========================= ================================================ =========================

:func:`install` is called by ``diffpose_mm`` and, so that ``import mmpose`` may come first, at the
start of Python by ``diffpose_mm_stand_ins.pth``, which lies beside this package where it is
installed. Nothing is imported until somebody asks for one of the modules.
"""

from __future__ import annotations

import importlib
import os.path as osp
import sys
from importlib.util import find_spec, spec_from_file_location

# This runs at every start of Python; typing, pathlib, contextlib would take longer than it does.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

HERE = osp.dirname(__file__)
# Modules that stand in where nobody else has them, and what they are made of.
ABSENT = {
    'mmcv._ext': 'torchvision',
    'xtcocotools': 'pycocotools',
    'xtcocotools.coco': 'pycocotools',
    'xtcocotools.cocoeval': 'pycocotools',
    'xtcocotools.mask': 'pycocotools',
}
# Modules that are corrected after they have been run, by `correct` of a module here; what `lent` of
# that module puts in place is there meanwhile, and `run` of that module runs them.
CORRECTED = {
    'mim.utils.utils': 'mim_utils',
    'mmengine.utils.package_utils': 'package_utils',
    'mmpose.models.heads.hybrid_heads.rtmo_head': 'mmdet_utils',
    'mmpose.visualization.opencv_backend_visualizer': 'drawing',
    'mmpretrain.models.multimodal': 'mmpretrain_multimodal',
}


class AbsentFinder:
    """Asked last, so that a module which anyone else finds is theirs."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where the stand-in of an absent module is, or None for any other module."""
        if name not in ABSENT or find_spec(ABSENT[name]) is None:
            return None
        if name == 'mmcv._ext':
            return spec_from_file_location(name, osp.join(HERE, 'mmcv_ext.py'))
        folder = osp.join(HERE, 'xtcocotools')
        if name == 'xtcocotools':
            return spec_from_file_location(
                name, osp.join(folder, '__init__.py'), submodule_search_locations=[folder]
            )
        return spec_from_file_location(name, osp.join(folder, f'{name.partition(".")[2]}.py'))


class CorrectingFinder:
    """Asked first: finds as the others do, and has the module corrected once it has been run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The others' spec with another loader, or None for a module that is as it should be."""
        if name == 'xtcocotools._mask' and _numpy_2() and find_spec('pycocotools'):
            return spec_from_file_location(name, osp.join(HERE, 'xtcocotools_mask.py'))
        if name not in CORRECTED:
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, 'find_spec', None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = CorrectingLoader(spec.loader, _correction(name))
                return spec
        return None


class CorrectingLoader:
    """Another loader, and a correction around what it does.

    Args:
        loader: Loads the module; what else it can do, it does.
        correction: A module of this package, see :data:`CORRECTED`.
    """

    def __init__(self, loader: Any, correction: Any) -> None:
        self.loader = loader
        self.correction = correction

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the other loader does."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module and correct it."""
        if hasattr(self.correction, 'run'):
            self.correction.run(self.loader, module)
        elif hasattr(self.correction, 'lent'):
            with self.correction.lent():
                self.loader.exec_module(module)
        else:
            self.loader.exec_module(module)
        self.correction.correct(module)


def _numpy_2() -> bool:
    import numpy

    return int(numpy.__version__.partition('.')[0]) >= 2


def _correction(name: str) -> Any:
    return importlib.import_module(f'.{CORRECTED[name]}', __name__)


def install() -> None:
    """Have the stand-ins found from now on; modules that are loaded already are corrected at once.

    A second call does nothing.
    """
    if any(isinstance(finder, AbsentFinder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, CorrectingFinder())
    sys.meta_path.append(AbsentFinder())
    for name in CORRECTED:
        if name in sys.modules:
            _correction(name).correct(sys.modules[name])
