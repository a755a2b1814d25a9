"""What mmengine's own loader understands once the package is imported: names that failed before.

All that loads through mmengine asks ``CheckpointLoader``: ``init_cfg``, ``load_from``,
``MMPoseInferencer``, mmdet's inferencers. Folders, safetensors, ``hf:OWNER/NAME`` and several
sources in one ('hf:OWNER/NAME or https://...') are read by :func:`.read_checkpoint`. A file of
torch or an address of one goes where it went, and its names are left as they are: they may be
those of somebody else's model.
"""

import functools
from collections.abc import Callable
from typing import Any

from mmengine.runner import CheckpointLoader

from .reading import is_torch_file, read_checkpoint

# An address of safetensors; several sources; the hub.
PATTERNS = (r'https?://\S+\.safetensors', r'\S+ or ', 'hf:')
_MARK = '_diffpose_mm_original'


def register_schemes() -> None:
    """Teach mmengine's loader these names. A second call changes nothing."""
    for pattern in PATTERNS:
        CheckpointLoader.register_scheme(pattern, load_from_source, force=True)
    local = CheckpointLoader._schemes['']
    if not hasattr(local, _MARK):
        CheckpointLoader.register_scheme('', _local(local), force=True)


def load_from_source(filename: str, map_location: Any = None) -> dict:
    """:func:`.read_checkpoint`, onto the CPU, for mmengine's loader."""
    return read_checkpoint(filename)


def _local(original: Callable) -> Callable:
    @functools.wraps(original)
    def load_from_local(filename: str, map_location: Any = None) -> Any:
        if is_torch_file(filename):
            return original(filename, map_location)
        return read_checkpoint(filename)

    setattr(load_from_local, _MARK, original)
    return load_from_local
