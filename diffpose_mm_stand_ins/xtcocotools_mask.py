"""For ``xtcocotools._mask``, compiled against numpy 1: pycocotools' own, which it is a copy of."""

from pycocotools._mask import (  # noqa: F401
    area,
    decode,
    encode,
    frPyObjects,
    iou,
    merge,
    toBbox,
)
