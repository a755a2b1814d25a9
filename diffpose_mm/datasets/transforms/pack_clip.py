"""Pack a clip for the model."""

from collections.abc import Sequence

from mmpose.datasets.transforms import PackPoseInputs
from mmpose.registry import TRANSFORMS

CLIP_META_KEYS = (
    'clip_paths',
    'keyframe_index',
    'clip_replicated',
    'frame_offsets',
    'clip_decodes',
    'clip_faults',
    'track_id',
    'frame_id',
    'sigmas',
    'keypoints_occluded',
)
"""What a data sample says of its clip, beside mmpose's own meta keys."""


@TRANSFORMS.register_module()
class PackClipInputs(PackPoseInputs):
    """mmpose's packing with the fields of a clip among the meta keys.

    ``inputs`` is a uint8 tensor (T, 3, h, w), BGR, oldest frame first.

    Args:
        meta_keys (Sequence[str], optional): Defaults to those of :class:`PackPoseInputs` and
            ``CLIP_META_KEYS``.
        pack_transformed (bool): As in :class:`PackPoseInputs`. Defaults to False.
    """

    def __init__(self, meta_keys: Sequence[str] = None, pack_transformed: bool = False) -> None:
        if meta_keys is None:
            meta_keys = PackPoseInputs().meta_keys + CLIP_META_KEYS
        super().__init__(meta_keys=tuple(meta_keys), pack_transformed=pack_transformed)
