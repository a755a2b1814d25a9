"""Sub-JHMDB as clips: mmpose's data set with the neighbouring frames of each sample."""

from typing import Any

from mmpose.datasets.datasets.body import JhmdbDataset
from mmpose.registry import DATASETS

from .clip_dataset import ClipDataset


@DATASETS.register_module()
class JHMDBClipDataset(ClipDataset, JhmdbDataset):
    """Sub-JHMDB (Jhuang et al., ICCV 2013), one clip for each frame: a person with 15 joints.

    It reads the files that mmpose offers (``Sub1_train.json`` and so on, three splits), whose
    images have a number of frames as PoseTrack18's have. Their boxes and joints count from 1, as
    MATLAB does; those of a sample count from 0. Frames are named from ``00001.png``.

    Args:
        **kwargs: Those of :class:`ClipDataset` but ``bbox_file``: a PCK compares a
            sample's pose with the same sample's annotation, and a detected box has none.

    Raises:
        ValueError: With a ``bbox_file``, and as :class:`ClipDataset` does.
    """

    METAINFO: dict = JhmdbDataset.METAINFO
    FIRST_FRAME = 1

    def __init__(self, bbox_file: None = None, **kwargs: Any) -> None:
        if bbox_file:
            raise ValueError(
                f'JHMDBClipDataset: bbox_file={bbox_file!r}, but the metric of JHMDB needs the '
                'annotated boxes: leave it out'
            )
        super().__init__(**kwargs)
