"""PoseTrackMOTA: PoseTrack's multi-object tracking accuracy of joints, as poseval counts it.

Tracking is no part of the paper. Each of the 15 joints is a tracking problem of its own in each
video: a true and a predicted joint may be matched if they are at most 0.5 head sizes apart, and
``motmetrics`` (https://github.com/cheind/py-motmetrics), which poseval uses as well, matches them
over time and counts misses, false positives and switches (Bernardin and Stiefelhagen, 2008). MOTA
is one minus their sum over the number of true joints, over all videos; the mean is over the joints.
Further rules of ``poseval``, kept to the letter:

1. Frames without annotated persons are left out, then the last remaining frame of each video.
2. Joints inside ignore regions are deleted; in frames with regions, persons and poses that are left
   without a joint are too.
3. In a frame that is then without persons or without poses each joint counts one true joint, one
   miss and one false positive, whatever was annotated or predicted.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpose.evaluation.functional.nms import oks_iou
from mmpose.registry import METRICS

from .posetrack_ap import PoseTrackAP, as_table, cell
from .posetrack_files import GroundTruth
from .posetrack_protocol import (
    DISTANCE_THRESHOLD,
    GROUPS,
    JOINTS,
    PredictedPoses,
    TruePoses,
    drop_uncounted,
    group_means,
    joint_distances,
)

COUNTS = (
    *('num_misses', 'num_switches', 'num_false_positives', 'num_objects', 'num_detections'),
    *('idtp', 'idfp', 'idfn'),
)


@METRICS.register_module()
class PoseTrackMOTA(PoseTrackAP):
    """Tracking accuracy on PoseTrack by the official protocol, in percent.

    Keys are ``MOTA`` (mean over 15 joints), ``Head MOTA`` to ``Ankl MOTA``, ``MOT precision``,
    ``MOT recall`` and ``IDF1`` (which poseval does not have) after the prefix ``posetrack/``. It
    needs ``motmetrics``, installed apart.

    Args:
        tracks: where the track ids come from: ``'oks'`` links poses from frame to frame by their
            object keypoint similarity (OKS), best pairs first; ``'boxes'`` takes the ids of the
            tested boxes, as files of tracks have them (annotated boxes have the annotated ids).
        track_thr: minimum OKS of a link.
        max_gap: number of evaluated frames in a row in which a track may be missing.
        joint_thr: joints of a lower score are no predictions. Unlike AP, MOTA counts every one.
        **kwargs: those of :class:`PoseTrackAP`; a submission carries the track ids.

    Raises:
        ImportError: ``motmetrics`` is not installed.
        ValueError: for an unknown ``tracks``, boxes or annotations without track ids, an id that
            occurs twice in a frame, and as :class:`PoseTrackAP`.
    """

    TAKES_PARTIAL_SETS = False

    def __init__(
        self,
        tracks: str = 'oks',
        track_thr: float = 0.3,
        max_gap: int = 2,
        joint_thr: float = 0.3,
        **kwargs: Any,
    ) -> None:
        if importlib.util.find_spec('motmetrics') is None:
            raise ImportError(
                'PoseTrackMOTA needs motmetrics, which is not installed: pip install motmetrics'
            )
        if tracks not in ('oks', 'boxes'):
            raise ValueError(f"PoseTrackMOTA: tracks must be 'oks' or 'boxes', but is {tracks!r}")
        super().__init__(**kwargs)
        self.tracks = tracks
        self.track_thr = track_thr
        self.max_gap = max_gap
        self.joint_thr = joint_thr

    def _instance(self, result: dict, i: int) -> dict:
        return dict(super()._instance(result, i), track_id=result['track_id'])

    def _select(self, results: list, ground_truth: GroundTruth) -> dict[int, list[dict]]:
        """Give the selected poses track ids, and drop joints below ``joint_thr``."""
        poses = super()._select(results, ground_truth)
        sigmas = (self.dataset_meta or {}).get('sigmas')
        for images in ground_truth.videos.values():
            images = [i for i in images if i.get('is_labeled', True) or i['id'] in poses]
            frames = [poses.get(image['id'], []) for image in images]
            if self.tracks == 'oks':
                link_by_oks(frames, self.track_thr, self.max_gap, sigmas)
            for image, found in zip(images, frames):
                track_ids = [pose['track_id'] for pose in found]
                if -1 in track_ids or len(set(track_ids)) < len(track_ids):
                    raise ValueError(
                        f"PoseTrackMOTA: tracks='boxes', but the boxes of {image['file_name']} "
                        f'have the track ids {track_ids}: each needs one of its own. Test with '
                        "boxes that have them, or take tracks='oks'"
                    )
        for found in poses.values():
            for pose in found:
                strong = pose['keypoint_scores'] >= self.joint_thr
                pose['keypoints'] = np.where(strong[:, None], pose['keypoints'], 0)
                pose['keypoint_scores'] = np.where(strong, pose['keypoint_scores'], 0)
        return poses

    def _evaluate(self, ground_truth: GroundTruth, predicted: PredictedPoses) -> dict[str, float]:
        result = evaluate_tracks(ground_truth, predicted)
        boxes = self._boxes()
        tracks = 'by OKS' if self.tracks == 'oks' else f'of the boxes ({boxes})'
        title = (
            f'PoseTrack MOTA (%), {len(ground_truth.videos)} videos; boxes: {boxes}; '
            f'tracks: {tracks}'
        )
        groups, means = group_means(result.mota), result.means
        print_log(
            '\n'
            + as_table(
                title,
                ['joints', *GROUPS, 'Mean', 'precision', 'recall', 'IDF1'],
                [['all', *map(cell, (*groups.values(), *means.values()))]],
            ),
            'current',
        )
        return {f'{name} MOTA': value for name, value in groups.items()} | means


@dataclass
class JointTracking:
    """Tracking of each joint, in percent; (15,) float64, NaN where nothing was to be counted.

    Attributes:
        mota: 100 and below; it may be negative.
        precision: share of matched joints among the predicted.
        recall: share of matched joints among the true.
        idf1: F1 of joints that belong together when each true track of a video is given the one
            predicted track that suits it best (Ristani et al., Performance measures and a data set
            for multi-target, multi-camera tracking, 2016), over all videos.
    """

    mota: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    idf1: np.ndarray

    @property
    def means(self) -> dict[str, float]:
        """Means over the joints that have a value, by the names of the metric."""
        values = {
            'MOTA': self.mota,
            'MOT precision': self.precision,
            'MOT recall': self.recall,
            'IDF1': self.idf1,
        }
        return {
            name: float(value[~np.isnan(value)].mean()) if np.isfinite(value).any() else math.nan
            for name, value in values.items()
        }


def evaluate_tracks(ground_truth: GroundTruth, predicted: PredictedPoses) -> JointTracking:
    """Tracking accuracy of predicted poses; the rules stand in the module's docstring.

    Args:
        ground_truth: annotated persons with ``track_id``.
        predicted: poses with ``track_id``.

    Raises:
        ValueError: annotated persons without a track id.
    """
    import motmetrics

    if (ground_truth.poses.track_id < 0).any():
        raise ValueError("PoseTrackMOTA: annotated persons of ann_file have no 'track_id'")
    true, predicted = drop_uncounted(ground_truth.poses, predicted)
    has_regions = np.array([len(regions) > 0 for regions in true.ignore_regions], dtype=bool)
    persons, poses = (_rows_by_frame(people, has_regions) for people in (true, predicted))
    annotated = np.unique(true.frame)
    totals = np.zeros((len(COUNTS), len(JOINTS)))
    first = 0
    for images in ground_truth.videos.values():
        last = first + len(images)
        frames = annotated[(annotated >= first) & (annotated < last)][:-1]
        joints = [motmetrics.MOTAccumulator(auto_id=True) for _ in JOINTS]
        for frame in frames:
            for accumulator, update in zip(
                joints, _matches(true, predicted, persons[frame], poses[frame])
            ):
                accumulator.update(*update)
        first = last
        if len(frames):
            host = motmetrics.metrics.create()
            for j, accumulator in enumerate(joints):
                counts = host.compute(accumulator, metrics=COUNTS, return_dataframe=False)
                totals[:, j] += [counts[name] for name in COUNTS]
    misses, switches, false_positives, objects, detections, *identities = totals
    right, wrong, missed = identities
    with np.errstate(divide='ignore', invalid='ignore'):
        objects = np.where(objects > 0, objects, np.nan)
        return JointTracking(
            mota=100 * (1 - (misses + switches + false_positives) / objects),
            precision=100 * (detections / (false_positives + detections)),
            recall=100 * (detections / objects),
            idf1=100 * 2 * right / (2 * right + wrong + missed),
        )


def _rows_by_frame(people: TruePoses | PredictedPoses, has_regions: np.ndarray) -> list[np.ndarray]:
    """Rows of the people of every frame, without those whose joints were all deleted (rule 2)."""
    counts = people.present.any(axis=1) | ~has_regions[people.frame]
    rows = np.flatnonzero(counts)
    return np.split(rows, np.searchsorted(people.frame[rows], np.arange(1, len(has_regions))))


def _matches(
    true: TruePoses, predicted: PredictedPoses, persons: np.ndarray, poses: np.ndarray
) -> Iterator[tuple]:
    """For each joint the true and predicted track ids and their distances, NaN where too far."""
    if not len(persons) or not len(poses):
        yield from [([0], [0], [[np.nan]])] * len(JOINTS)
        return
    pairs = np.repeat(poses, len(persons)), np.tile(persons, len(poses))
    distance = joint_distances(true, predicted, *pairs).reshape(len(poses), len(persons), -1)
    distance[~(distance <= DISTANCE_THRESHOLD)] = np.nan
    for j in range(len(JOINTS)):
        has_true, has_predicted = true.present[persons, j], predicted.present[poses, j]
        yield (
            true.track_id[persons[has_true]],
            predicted.track_id[poses[has_predicted]],
            distance[has_predicted][:, has_true, j].T,
        )


def link_by_oks(
    frames: Sequence[list[dict]], thr: float, max_gap: int, sigmas: np.ndarray | None
) -> None:
    """Give the poses of a video track ids, in place, by their OKS from frame to frame.

    Args:
        frames: the poses of each frame, with ``keypoints`` (K, 2), ``keypoint_scores`` (K,) and
            ``area``; they get a ``track_id``.
        thr: minimum OKS of a link. Of all pairs the most similar is linked first.
        max_gap: a track that was missing in more frames in a row ends.
        sigmas: (K,) OKS constants of the keypoints.
    """
    last_pose: dict[int, dict] = {}
    last_frame: dict[int, int] = {}
    for number, found in enumerate(frames):
        alive = [track for track in last_pose if number - last_frame[track] <= max_gap + 1]
        links = []
        if found:
            flat = np.array([_flat(pose) for pose in found])
            areas = np.array([pose['area'] for pose in found])
            for track in alive:
                before = last_pose[track]
                similar = oks_iou(_flat(before), flat, before['area'], areas, sigmas)
                links += [(value, track, i) for i, value in enumerate(similar) if value >= thr]
        free = dict(enumerate(found))
        for _, track, i in sorted(links, key=lambda link: -link[0]):
            if track in alive and i in free:
                alive.remove(track)
                free.pop(i)['track_id'] = track
        for track, pose in enumerate(free.values(), start=len(last_pose)):
            pose['track_id'] = track
        for pose in found:
            last_pose[pose['track_id']], last_frame[pose['track_id']] = pose, number


def _flat(pose: dict) -> np.ndarray:
    return np.column_stack([pose['keypoints'], pose['keypoint_scores']]).ravel()
