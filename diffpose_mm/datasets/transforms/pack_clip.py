"""The end of a pipeline: what each keypoint counts, and a clip packed for the model."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
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


@TRANSFORMS.register_module()
class WeightByScore(BaseTransform):
    """Let each keypoint count as much in the loss as its label is sure.

    To come after GenerateTarget. Samples without ``keypoint_scores``, as those of data sets that
    people labelled, stay as they are.

    Required Keys: keypoint_weights ((1, K) float32), keypoint_scores (optional).

    Modified Keys: keypoint_weights.

    Args:
        power (float): The weight is the score to this power. Defaults to 1.
    """

    def __init__(self, power: float = 1.0) -> None:
        super().__init__()
        if power < 0:
            raise ValueError(f'WeightByScore: power={power} cannot be negative')
        self.power = power

    def transform(self, results: dict) -> dict:
        """Multiply the weights."""
        scores = results.get('keypoint_scores')
        if scores is None:
            return results
        if 'keypoint_weights' not in results:
            raise ValueError('WeightByScore has to come after GenerateTarget')
        weights = np.clip(scores, 0, 1) ** self.power
        results['keypoint_weights'] = (results['keypoint_weights'] * weights).astype(np.float32)
        return results
