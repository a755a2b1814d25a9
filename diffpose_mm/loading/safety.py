"""Checkpoints are data: what one may name, and that nothing in this process runs what it holds.

torch >= 2.6 unpickles checkpoints with ``weights_only=True`` and refuses every type that it does
not know. mmengine's own training checkpoints hold log histories and numpy scalars, so they cannot
be read back unless exactly these types are allowed. :func:`register_safe_globals` does that; a
checkpoint can still not run code.
"""

import functools
import pickle
from collections.abc import Callable
from typing import Any

import mmengine.runner.checkpoint
import numpy as np
import torch
from mmengine.logging import HistoryBuffer

BUFFER_STATISTICS = ('min', 'max', 'mean', 'current')
# Of the arrays in a data set's meta information and in log histories. numpy 1 counts in int32 on
# Windows.
NUMPY_KINDS = ('uint8', 'int32', 'int64', 'float32', 'float64')
_MARK = '_diffpose_mm_original'


def _buffer_statistic(owner: type, name: str) -> Callable:
    """Stand in for ``getattr`` in a checkpoint: a statistic of HistoryBuffer and nothing else.

    mmengine pickles ``HistoryBuffer.mean`` and its like by reference, which pickle writes as a call
    of ``getattr``. The real ``getattr`` would open a way to any attribute, so this narrow one is
    allowed under its name.
    """
    if owner is HistoryBuffer and name in BUFFER_STATISTICS:
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'a checkpoint may not read the attribute {name!r} of {owner!r}')


def safe_globals() -> dict[str, Callable]:
    """What a checkpoint may name beside tensors, numbers and containers, and what it then gets.

    These are log histories, numpy arrays, numpy scalars and their dtypes. numpy 2 renamed a module,
    and a checkpoint written beside one numpy can be read beside the other.
    """
    reconstruct: Any = np.ndarray([]).__reduce__()[0]
    scalar: Any = np.float64(0).__reduce__()[0]
    allowed: dict[str, Callable] = {
        'mmengine.logging.history_buffer.HistoryBuffer': HistoryBuffer,
        'builtins.getattr': _buffer_statistic,
        'numpy.ndarray': np.ndarray,
        'numpy.dtype': np.dtype,
    }
    for core in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        allowed |= {f'{core}._reconstruct': reconstruct, f'{core}.scalar': scalar}
    for kind in (type(np.dtype(name)) for name in NUMPY_KINDS):
        allowed[f'{kind.__module__}.{kind.__qualname__}'] = kind
    return allowed


def register_safe_globals() -> None:
    """Allow :func:`safe_globals` under ``torch.load(weights_only=True)``."""
    torch.serialization.add_safe_globals([(kind, name) for name, kind in safe_globals().items()])


def load_weights_only(file: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
    """``torch.load`` with ``weights_only`` on, whatever is asked for."""
    return torch.load(file, map_location=map_location, weights_only=True)


def forbid_loading_code() -> None:
    """Close the two ways on which mmengine runs what a checkpoint holds, for the whole process.

    - Files from an address, in any mmengine: ``torch.hub``, which it asks, unpickles them with
      ``weights_only`` off unless told otherwise. ``torchvision://``, ``open-mmlab://`` and
      ``mmcls://`` go the same way.
    - Any file, in onedl-mmengine: a second try, with ``weights_only`` off, at what was refused.

    Files that hold weights alone load as before. A second call changes nothing.
    """
    module = mmengine.runner.checkpoint
    if hasattr(module, '_safe_torch_load'):
        module._safe_torch_load = load_weights_only
    load_url = module.load_url
    if hasattr(load_url, _MARK):
        return

    @functools.wraps(load_url)
    def load_url_weights_only(*args: Any, **kwargs: Any) -> Any:
        return load_url(*args, **{**kwargs, 'weights_only': True})

    setattr(load_url_weights_only, _MARK, load_url)
    module.load_url = load_url_weights_only
