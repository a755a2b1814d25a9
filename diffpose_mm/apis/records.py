"""What a run gives for a frame, as data samples and as dicts, which JSON can hold."""

from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample, split_instances

from .windows import Frame, Window

PER_INSTANCE = dict(track_id='track_ids', keypoint_std='keypoint_std')
HYPOTHESES = dict(hypotheses='hypotheses', hypothesis_scores='hypothesis_scores')


def instances_to_dicts(instances: InstanceData, with_hypotheses: bool = False) -> list[dict]:
    """One dict a person: mmpose's fields, ``track_id``, ``keypoint_std`` and the hypotheses.

    All coordinates and deviations are in image pixels. ``bbox`` is a list of one box, as mmpose
    has it.
    """
    dicts = split_instances(instances)
    fields = {**PER_INSTANCE, **HYPOTHESES} if with_hypotheses else PER_INSTANCE
    for index, result in enumerate(dicts):
        if 'bbox_score' in result:
            result['bbox_score'] = float(result['bbox_score'])
        for name, source in fields.items():
            if source in instances:
                result[name] = np.asarray(instances[source][index]).tolist()
    return dicts


def dicts_to_sample(dicts: list[dict], metainfo: dict, num_keypoints: int) -> PoseDataSample:
    """The inverse of :func:`instances_to_dicts`, also for nobody."""
    count = len(dicts)
    fields = {
        'keypoints': ('keypoints', (num_keypoints, 2)),
        'keypoint_scores': ('keypoint_scores', (num_keypoints,)),
        'keypoint_std': ('keypoint_std', (num_keypoints, 2)),
        'bbox': ('bboxes', (4,)),
        'bbox_score': ('bbox_scores', ()),
        'track_id': ('track_ids', ()),
        **{name: (source, None) for name, source in HYPOTHESES.items()},
    }
    instances = InstanceData()
    for name, (source, shape) in fields.items():
        if not all(name in result for result in dicts) or (shape is None and not dicts):
            continue
        kind = np.int64 if name == 'track_id' else np.float32
        values = np.array([result[name] for result in dicts], dtype=kind)
        instances.set_field(values if shape is None else values.reshape(count, *shape), source)
    instances.set_field(instances.keypoint_scores, 'keypoints_visible')
    return PoseDataSample(metainfo=metainfo, pred_instances=instances)


@dataclass
class Result:
    """A keyframe with its clip and the poses of its people.

    Attributes:
        window: The clip.
        mode: 'offline' or 'causal'.
        samples: One for each person, in image pixels.
        merged: All people in one sample.
        picture: HxWx3 uint8 RGB with the poses drawn, or None.
    """

    window: Window
    mode: str
    samples: list[PoseDataSample] = field(default_factory=list)
    merged: PoseDataSample | None = None
    picture: np.ndarray | None = None

    @property
    def frame(self) -> Frame:
        """The keyframe."""
        return self.window.frame

    def instances(self, with_hypotheses: bool = False) -> list[dict]:
        """The people as dicts, see :func:`instances_to_dicts`."""
        samples = self.samples if self.merged is None else [self.merged]
        dicts = (instances_to_dicts(s.pred_instances, with_hypotheses) for s in samples)
        return list(chain(*dicts))

    def frame_info(self) -> dict:
        """``frame_id``, ``time``, which frames were used and how; of a gap also ``fault``."""
        frame, window = self.frame, self.window
        info = dict(
            frame_id=frame.index,
            time=frame.time,
            frames_used=list(window.frame_ids),
            replicated=list(window.replicated),
            mode=self.mode,
        )
        if frame.fault is not None:
            info.update(frames_used=[], replicated=[], fault=frame.fault)
        return info
