"""For mmpretrain's language models, whose import fails beside transformers 4.52 and later.

They are optional, but where transformers and pycocotools are installed mmpretrain takes for granted
that they can be imported, and all of ``mmpretrain.models``, ViT among it, goes down with them.
"""

import sys
from types import ModuleType
from typing import Any


def run(loader: Any, module: ModuleType) -> None:
    """Run ``mmpretrain.models.multimodal``, or what it is without transformers if that fails.

    Where the models can be imported, as beside transformers 4.51 and without transformers, nothing
    is changed. Where they cannot, mmpretrain's own placeholders stand in their places.
    """
    from mmpretrain import registry
    from mmpretrain.utils import dependency

    registries = [
        part for part in vars(registry).values() if isinstance(part, registry.MODELS.__class__)
    ]
    registered = [dict(part._module_dict) for part in registries]
    names, loaded = set(vars(module)), set(sys.modules)
    try:
        loader.exec_module(module)
        return
    except Exception:
        if not dependency.WITH_MULTIMODAL:
            raise
    # What was imported before it failed must not be half there.
    for part, before in zip(registries, registered):
        part._module_dict.clear()
        part._module_dict.update(before)
    for name in set(sys.modules) - loaded:
        if name.startswith(f'{module.__name__}.'):
            del sys.modules[name]
    for name in set(vars(module)) - names:
        delattr(module, name)
    dependency.WITH_MULTIMODAL = False
    loader.exec_module(module)


def correct(module: ModuleType) -> None:
    """Nothing: a module that is there already was imported without a fault."""
