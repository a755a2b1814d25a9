"""DiffPose for MMPose: video pose estimation as conditional heatmap diffusion.

Importing the package registers its codec, datasets, hooks, metrics, models, transforms and
visualizers in mmpose's registries, so ``custom_imports=dict(imports=['diffpose_mm'])`` in a
config is all that MMPose needs.
"""

from diffpose_mm_stand_ins import install

from .requirements import check_requirements

install()
check_requirements()

from . import apis, codecs, datasets, engine, evaluation, loading, models, visualization  # noqa: E402, F401
from .version import __version__  # noqa: E402

loading.register_safe_globals()
loading.forbid_loading_code()
loading.register_schemes()

__all__ = ['__version__']
