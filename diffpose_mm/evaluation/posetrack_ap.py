"""PoseTrackAP: the metric of the paper's PoseTrack tables, for mmpose's evaluator.

It takes the arguments of mmpose's ``PoseTrack18Metric`` and gives the numbers of the official
``poseval``, which it does not need; :mod:`posetrack_protocol` states the protocol.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from logging import WARNING
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.fileio import get_local_path
from mmengine.logging import MessageHub, print_log
from mmpose.evaluation.functional import oks_nms, soft_oks_nms
from mmpose.registry import METRICS

from ..posetrack.keypoints import JOINTS
from .posetrack_files import KEYPOINTS, GroundTruth, load_ground_truth, predicted_poses
from .posetrack_protocol import GROUPS, JointAP, PredictedPoses, evaluate_poses
from .posetrack_submissions import write_submission


@METRICS.register_module()
class PoseTrackAP(BaseMetric):
    """Average precision on PoseTrack by the official protocol, in percent.

    Keys are ``AP`` (mean over 15 joints) and ``Head AP``, ``Shou AP``, ``Elb AP``, ``Wri AP``,
    ``Hip AP``, ``Knee AP``, ``Ankl AP``, after the prefix ``posetrack/``. Where the annotations
    carry ``occluded`` or ``blurred`` flags there is ``AP (occluded)``, ``AP (blurred)`` and, for
    the joints with neither, ``AP (clear)``; :func:`posetrack_protocol.evaluate_poses` defines
    them.

    Every image of ``ann_file`` counts, whether or not the model was given a person in it. A
    joint's own score ranks it; the score of the pose only decides the non-maximum suppression.

    Args:
        ann_file: COCO-style PoseTrack18 file, or the official folder with one json a video. If
            None, the file that the tested dataset loaded.
        score_mode: score of a pose: ``'bbox'`` its box's, ``'keypoint'`` the mean of its
            keypoints', ``'bbox_keypoint'`` the box's times the mean of the keypoints' above
            ``keypoint_score_thr``, ``'bbox_rle'`` the box's plus the keypoints' mean and maximum.
        keypoint_score_thr: see ``score_mode``.
        nms_mode: ``'oks_nms'``, ``'soft_oks_nms'`` or ``'none'``, as in mmpose.
        nms_thr: object keypoint similarity above which the lower pose is suppressed.
        format_only: only write the submission folder; needs ``outfile_prefix``.
        outfile_prefix: as in mmpose: the folder of this path receives the official submission,
            one json a video. If None nothing is written.
        box_source: for data sets that do not say it (those of this package do, in
            ``metainfo['box_source']``, which counts): where the tested boxes come from,
            ``'detected'`` or ``'ground_truth'``, to be stated in the table.
        collect_device: see mmengine's BaseMetric.
        prefix: see mmengine's BaseMetric.

    Raises:
        ValueError: for an unknown mode, a missing ``outfile_prefix``, or an ``ann_file`` that is
            missing or not PoseTrack's.
    """

    default_prefix = 'posetrack'
    # Whether joints that the predictions' set of keypoints does not have are left out.
    TAKES_PARTIAL_SETS = True
    _lacking: Sequence[str] = ()

    def __init__(
        self,
        ann_file: str | None = None,
        score_mode: str = 'bbox_keypoint',
        keypoint_score_thr: float = 0.2,
        nms_mode: str = 'oks_nms',
        nms_thr: float = 0.9,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        box_source: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        _check('score_mode', score_mode, ('bbox', 'keypoint', 'bbox_keypoint', 'bbox_rle'))
        _check('nms_mode', nms_mode, ('oks_nms', 'soft_oks_nms', 'none'))
        if format_only and outfile_prefix is None:
            raise ValueError(
                'PoseTrackAP: format_only=True needs outfile_prefix, the path whose '
                'folder receives the submission'
            )
        self.score_mode = score_mode
        self.keypoint_score_thr = keypoint_score_thr
        self.nms_mode = nms_mode
        self.nms_thr = nms_thr
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.box_source = box_source
        self._ground_truth = None if ann_file is None else self._load(ann_file)

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        """Meta information of the dataset; without ``ann_file`` its annotation file is read."""
        self._dataset_meta = dataset_meta
        if self._ground_truth is None:
            # A dataset leaves the path of its file here under its name, which validation and test
            # set share: it must be read now, right after this dataset was built.
            ann_file = MessageHub.get_current_instance().get_info(
                f'{dataset_meta.get("dataset_name")}_ann_file', None
            )
            if ann_file is not None:
                self._ground_truth = self._load(ann_file)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep what the evaluation needs of a batch of predictions.

        Args:
            data_batch: not used.
            data_samples: each with ``id``, ``img_id`` and ``pred_instances`` with ``keypoints``
                (N, K, 2) in image pixels and ``keypoint_scores`` (N, K), optionally ``bboxes``
                (N, 4) and ``bbox_scores`` (N,); and optionally ``gt_instances`` with
                ``bbox_scores`` (N,) and ``bbox_scales`` (N, 2), which a top-down model copies
                from its input.

        Raises:
            ValueError: if a prediction is missing, of a wrong shape or not finite; the message
                names the image.
        """
        for sample in data_samples:
            where = f'image {sample.get("img_path", "")!r} (id {sample.get("img_id")})'
            instances = sample.get('pred_instances')
            if instances is None:
                raise ValueError(f'PoseTrackAP: no pred_instances for {where}')
            keypoints = _array(instances['keypoints'])
            scores = _array(instances['keypoint_scores'])
            if keypoints.shape != (*scores.shape, 2) or scores.ndim != 2:
                raise ValueError(
                    'PoseTrackAP: keypoints must be (N, K, 2) and keypoint_scores (N, K), but are '
                    f'{keypoints.shape} and {scores.shape} for {where}'
                )
            gt_instances = sample.get('gt_instances') or {}
            number = len(keypoints)
            box_scores = np.ones(number)
            for source in (gt_instances, instances):
                # A bottom-up model may find another number of persons than are annotated.
                if 'bbox_scores' in source and len(source['bbox_scores']) == number:
                    box_scores = _array(source['bbox_scores'])
            if 'bbox_scales' in gt_instances and len(gt_instances['bbox_scales']) == number:
                areas = _array(gt_instances['bbox_scales']).prod(axis=1)
            else:
                areas = np.ptp(keypoints, axis=1).prod(axis=1)
            result = dict(
                id=sample['id'],
                img_id=sample['img_id'],
                track_id=int(sample.get('track_id', -1)),
                keypoints=keypoints,
                keypoint_scores=scores,
                bbox_scores=box_scores,
                areas=areas,
            )
            for name in ('keypoints', 'keypoint_scores', 'bbox_scores'):
                if not np.isfinite(result[name]).all():
                    raise ValueError(f'PoseTrackAP: {name} of {where} are not finite')
            if 'bboxes' in instances:
                boxes = _array(instances['bboxes']).reshape(number, 4)
                result['bboxes'] = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
            self.results.append(result)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Evaluate all predictions.

        Args:
            results: what :meth:`process` kept, of all processes. Samples that the distributed
                sampler repeated are counted once.

        Returns:
            Metric name -> percent; empty with ``format_only``.

        Raises:
            ValueError: if there is no prediction at all, one for an unknown image, or no
                annotation file.
        """
        if not results:
            raise ValueError(
                'PoseTrackAP: there are no predictions to evaluate; is the tested dataset empty?'
            )
        if self._ground_truth is None:
            raise ValueError('PoseTrackAP: ann_file is not given and the tested dataset has none')
        ground_truth = self._ground_truth
        names = self._keypoint_names(results[0]['keypoints'].shape[1])
        poses = self._select(results, ground_truth)
        if self.outfile_prefix is not None:
            folder = Path(self.outfile_prefix).parent
            write_submission(folder, poses, ground_truth, names)
            print_log(f'PoseTrack submission, one json a video, written to {folder}', 'current')
        if self.format_only:
            return {}

        if ground_truth.num_without_head_box:
            print_log(
                f'{ground_truth.num_without_head_box} annotated persons have no head box: they '
                'count as ground truth, but no prediction can match them',
                'current',
            )
        self._lacking = [joint for joint in JOINTS if joint not in names]
        if self._lacking and self.TAKES_PARTIAL_SETS:
            print_log(
                f'{", ".join(self._lacking)}: no keypoints of the predictions, and left out of AP',
                'current',
                WARNING,
            )
        return self._evaluate(
            ground_truth, predicted_poses(poses, ground_truth, names, self.TAKES_PARTIAL_SETS)
        )

    def _evaluate(self, ground_truth: GroundTruth, predicted: PredictedPoses) -> dict[str, float]:
        aps = evaluate_poses(ground_truth.poses, predicted)
        for result in aps.values():
            result.ap[[JOINTS.index(joint) for joint in self._lacking]] = np.nan
        print_log('\n' + self._table(aps, ground_truth), 'current')
        metrics = {f'{name} AP': ap for name, ap in aps['all'].groups.items()}
        metrics['AP'] = aps['all'].mean
        for kind, result in aps.items():
            if kind != 'all':
                metrics[f'AP ({kind})'] = result.mean
        return metrics

    def _load(self, ann_file: str) -> GroundTruth:
        if Path(ann_file).is_dir():
            return load_ground_truth(ann_file, not self.format_only)
        with get_local_path(ann_file) as local_path:
            return load_ground_truth(local_path, not self.format_only)

    def _keypoint_names(self, number: int) -> list[str]:
        by_id = (self.dataset_meta or {}).get('keypoint_id2name')
        names = [by_id[i] for i in sorted(by_id)] if by_id else list(KEYPOINTS)
        if len(names) != number:
            raise ValueError(
                f'PoseTrackAP: predictions have {number} keypoints, the dataset has {len(names)}'
            )
        return names

    def _select(self, results: list, ground_truth: GroundTruth) -> dict[int, list[dict]]:
        """Drop repeated samples, score poses, suppress double ones; poses by image."""
        samples: dict[int, dict] = defaultdict(dict)
        for result in results:
            img_id = result['img_id']
            if img_id not in ground_truth.frame_of_image:
                raise ValueError(
                    f'PoseTrackAP: there is a prediction for image id {img_id}, which '
                    'ann_file does not have; is it that of the tested dataset?'
                )
            key = result['id']
            samples[img_id].setdefault(tuple(key) if isinstance(key, Sequence) else key, result)

        sigmas = (self.dataset_meta or {}).get('sigmas')
        poses = {}
        for img_id, by_id in samples.items():
            # Order decides between equal scores: it must not depend on which process was first.
            instances = [
                self._instance(by_id[key], i)
                for key in sorted(by_id)
                for i in range(len(by_id[key]['keypoints']))
            ]
            if self.nms_mode != 'none' and len(instances) > 1:
                nms = oks_nms if self.nms_mode == 'oks_nms' else soft_oks_nms
                candidates = [
                    dict(
                        score=p['score'],
                        area=p['area'],
                        keypoints=np.column_stack([p['keypoints'], p['keypoint_scores']]),
                    )
                    for p in instances
                ]
                instances = [instances[i] for i in nms(candidates, self.nms_thr, sigmas=sigmas)]
            poses[img_id] = instances
        return poses

    def _instance(self, result: dict, i: int) -> dict:
        scores = result['keypoint_scores'][i].astype(np.float64)
        box_score = float(result['bbox_scores'][i])
        if self.score_mode == 'bbox':
            score = box_score
        elif self.score_mode == 'keypoint':
            score = scores.mean()
        elif self.score_mode == 'bbox_rle':
            score = box_score + scores.mean() + scores.max()
        else:
            sure = scores[scores > self.keypoint_score_thr]
            score = box_score * (sure.mean() if len(sure) else 0.0)
        instance = dict(
            keypoints=result['keypoints'][i],
            keypoint_scores=result['keypoint_scores'][i],
            score=float(score),
            area=result['areas'][i],
        )
        if 'bboxes' in result:
            instance['bbox'] = result['bboxes'][i]
        return instance

    def _boxes(self) -> str:
        actual = (self.dataset_meta or {}).get('box_source')
        if actual and self.box_source and actual != self.box_source:
            print_log(
                f'{type(self).__name__}: box_source={self.box_source!r} in the config is '
                f'wrong, the tested boxes are {actual!r}',
                'current',
                WARNING,
            )
        return (actual or self.box_source or 'source not stated').replace('_', ' ')

    def _table(self, aps: dict[str, JointAP], ground_truth: GroundTruth) -> str:
        title = (
            f'PoseTrack AP (%), {len(ground_truth.videos)} videos, '
            f'{ground_truth.poses.num_frames} frames; boxes: {self._boxes()}'
        )
        header = ['joints', *GROUPS, 'Mean', 'true joints']
        rows = [
            [kind, *(cell(v) for v in (*ap.groups.values(), ap.mean)), str(int(ap.num_true.sum()))]
            for kind, ap in aps.items()
        ]
        return as_table(title, header, rows)


def as_table(title: str, header: list[str], rows: list[list[str]]) -> str:
    """A title and a table, the first column to the left."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        '| '
        + ' | '.join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])])
        + ' |'
        for row in (header, *rows)
    ]
    lines.insert(1, '|' + '|'.join('-' * (w + 2) for w in widths) + '|')
    return '\n'.join([title, *lines])


def _check(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(
            f'PoseTrackAP: {name} must be one of {", ".join(map(repr, allowed))}, but is {value!r}'
        )


def _array(value) -> np.ndarray:
    """Numpy array of an array or of a tensor on any device."""
    if hasattr(value, 'detach'):
        value = value.detach().cpu()
    return np.asarray(value)


def cell(value: float) -> str:
    """A number of a table."""
    return '-' if math.isnan(value) else f'{value:.1f}'
