"""Inference by an exported model: numpy, OpenCV and an engine, neither torch nor mm*.

What it shares with ``diffpose_mm`` (windows, decoding, the steps of DDIM, noise) stands here alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .manifest import ExportError
    from .people import Person
    from .poser import ExportedPoser
    from .run import infer
    from .streaming import StreamingExportedPoser

__all__ = ['ExportError', 'ExportedPoser', 'Person', 'StreamingExportedPoser', 'infer']
_HOMES = dict(ExportedPoser='poser', ExportError='manifest', Person='people', infer='run')
_HOMES['StreamingExportedPoser'] = 'streaming'


def __getattr__(name: str) -> Any:
    """A name of ``__all__``, imported when it is asked for: no room above pays for others."""
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_HOMES[name]}', __name__), name)
