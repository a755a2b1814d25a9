"""PoseTrack17, 18 and 21 as clips."""

from mmpose.datasets.datasets.body import PoseTrack18Dataset
from mmpose.registry import DATASETS

from .clip_dataset import ClipDataset


class PoseTrackClipDataset(ClipDataset):
    """What the years have in common: the 17 keypoints of PoseTrack18."""

    METAINFO: dict = PoseTrack18Dataset.METAINFO
    FILE_HINTS = dict(
        annolist="this is PoseTrack17's own layout, which `mim run diffpose_mm prepare_posetrack "
        '--year 17` converts'
    )


@DATASETS.register_module()
class PoseTrack18ClipDataset(PoseTrackClipDataset):
    """PoseTrack18 (https://arxiv.org/abs/1710.10000), see :class:`ClipDataset`.

    ``ann_file`` is a COCO-style file of all videos or the folder with the official files.
    """


@DATASETS.register_module()
class PoseTrack21ClipDataset(PoseTrackClipDataset):
    """PoseTrack21
    (https://openaccess.thecvf.com/content/CVPR2022/html/Doring_PoseTrack21_A_Dataset_for_CVPR_2022_paper.html).

    The frames, names and keypoints of PoseTrack18, annotated anew; give the folder
    ``posetrack_data/train`` or ``posetrack_data/val`` as ``ann_file``. Persons with a box alone are
    no samples.
    """


@DATASETS.register_module()
class PoseTrack17ClipDataset(PoseTrackClipDataset):
    """PoseTrack17 (https://arxiv.org/abs/1710.10000), as ``mim run diffpose_mm prepare_posetrack``
    converts it to the COCO style of PoseTrack18.

    Its frames are counted from 1 and their names have eight digits (the digits are taken from the
    keyframe). Where an image has ``frame_range``, the first and last frame number of its video,
    that counts.
    """

    FIRST_FRAME = 1
