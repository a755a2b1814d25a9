"""PoseTrackMotion: how steadily tested people move, by the errors of :mod:`.pose_motion`."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpose.registry import METRICS

from ..videos import split_frame_name
from .pose_motion import acceleration_errors, still_jitter, velocity_errors
from .posetrack_ap import PoseTrackAP, as_table
from .posetrack_files import GroundTruth
from .posetrack_protocol import PredictedPoses, TruePoses


@METRICS.register_module()
class PoseTrackMotion(PoseTrackAP):
    """Errors of motion on PoseTrack's videos, in image pixels a frame.

    Keys are ``MPJVE`` (mean length of the difference of velocities), ``MPJAE`` (that of
    accelerations) and ``jitter`` (mean acceleration of joints that are at rest) after the prefix
    ``posetrack/``. A true and a tested person are the same by their ``track_id``: test with
    annotated boxes, or with others that have the annotated ids. Frames count that follow each
    other by number and in both of which the joint is annotated and predicted.

    Args:
        still: a joint that moves less in truth is at rest, pixels a frame.
        **kwargs: those of :class:`PoseTrackAP`.

    Raises:
        ValueError: annotations or boxes without track ids, or no frames that follow each other;
            and as :class:`PoseTrackAP`.
    """

    TAKES_PARTIAL_SETS = False

    def __init__(self, still: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not still > 0:
            raise ValueError(f'PoseTrackMotion: still={still!r} has to be positive')
        self.still = still

    def _instance(self, result: dict, i: int) -> dict:
        return dict(super()._instance(result, i), track_id=result['track_id'])

    def _evaluate(self, ground_truth: GroundTruth, predicted: PredictedPoses) -> dict[str, float]:
        values = evaluate_motion(ground_truth, predicted, self.still)
        print_log(
            '\n'
            + as_table(
                f'Errors of motion, {len(ground_truth.videos)} videos, pixels a frame; boxes: '
                f'{self._boxes()}',
                ['joints', *values],
                [['all', *(f'{value:.3f}' for value in values.values())]],
            ),
            'current',
        )
        return values


def evaluate_motion(
    ground_truth: GroundTruth, predicted: PredictedPoses, still: float = 0.5
) -> dict[str, float]:
    """MPJVE, MPJAE and jitter over all joints of all people; the class says what counts.

    Args:
        ground_truth: annotated persons with ``track_id``.
        predicted: poses with ``track_id``.
        still: see :class:`PoseTrackMotion`.

    Raises:
        ValueError: people without track ids, two of one id in a frame, or nothing that counts.
    """
    true = ground_truth.poses
    for people, of in ((true, 'annotated persons'), (predicted, 'boxes')):
        if people.track_id is None or (people.track_id < 0).any():
            raise ValueError(f"PoseTrackMotion: {of} have no 'track_id'")
    errors: dict[str, list[np.ndarray]] = dict(MPJVE=[], MPJAE=[], jitter=[])
    first = 0
    for images in ground_truth.videos.values():
        numbers = np.array([split_frame_name(image['file_name'])[1] for image in images])
        last = first + len(images)
        tracks, joints = (_tracks(people, first, numbers) for people in (true, predicted))
        first = last
        for track in sorted(set(tracks) & set(joints)):
            pair = joints[track], tracks[track], numbers
            errors['MPJVE'].append(velocity_errors(*pair).ravel())
            errors['MPJAE'].append(acceleration_errors(*pair).ravel())
            errors['jitter'].append(still_jitter(*pair, still).ravel())
    found = {name: np.concatenate([*values, np.zeros(0)]) for name, values in errors.items()}
    found = {name: values[np.isfinite(values)] for name, values in found.items()}
    if not len(found['MPJVE']):
        raise ValueError(
            'PoseTrackMotion: no person is annotated and predicted in two frames that follow each '
            'other; the track ids of the tested boxes have to be the annotated ones'
        )
    return {name: float(v.mean()) if len(v) else float('nan') for name, v in found.items()}


def _tracks(
    people: TruePoses | PredictedPoses, first: int, numbers: np.ndarray
) -> dict[int, np.ndarray]:
    """Track id -> (F, 15, 2) joints in the F frames of a video that begins at frame ``first``."""
    tracks: dict[int, np.ndarray] = {}
    seen = set()
    rows = np.flatnonzero((people.frame >= first) & (people.frame < first + len(numbers)))
    assert people.track_id is not None
    for row in rows:
        track, frame = int(people.track_id[row]), int(people.frame[row]) - first
        if (track, frame) in seen:
            raise ValueError(
                f'PoseTrackMotion: two people have the track_id {track} in frame {numbers[frame]}'
            )
        seen.add((track, frame))
        shape = (len(numbers), *people.points.shape[1:])
        points = tracks.setdefault(track, np.full(shape, np.nan))
        points[frame] = np.where(people.present[row][:, None], people.points[row], np.nan)
    return tracks
