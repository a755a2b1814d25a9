"""For ``mmdet.utils`` where there is no mmdet, while mmpose's head RTMO is imported.

mmpose is meant to run without mmdet and asks whether it is there, but this one head, which comes
with ``import mmpose.models``, does not ask.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

MODULES = ('mmdet', 'mmdet.utils')


def reduce_mean(tensor: Any) -> Any:
    """Mean of a tensor over all processes, as mmdet's."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return tensor
    tensor = tensor.clone()
    distributed.all_reduce(tensor.div_(distributed.get_world_size()))
    return tensor


@contextmanager
def lent() -> Iterator[None]:
    """What the head takes from mmdet is there; afterwards mmdet is as absent as before."""
    if find_spec('mmdet') is not None:
        yield
        return
    before = {name: sys.modules[name] for name in MODULES if name in sys.modules}
    for name in MODULES:
        sys.modules[name] = ModuleType(name)
    vars(sys.modules['mmdet.utils']).update(ConfigType=dict, reduce_mean=reduce_mean)
    try:
        yield
    finally:
        for name in MODULES:
            del sys.modules[name]
        sys.modules.update(before)


def correct(module: ModuleType) -> None:
    """Nothing: the module has what it needs."""
