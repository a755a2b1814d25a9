"""Quality of hypotheses: best of N, consensus, impossible poses, calibration of their spread.

DiffPose draws N poses of a person. The average precision of their mean cannot tell whether the true
pose was among them, whether one pose counts a limb twice, or whether the joints that spread are
those with the larger errors. This metric does. All coordinates are image pixels; thresholds are
shares of the person's size, the square root of the area of the person's box.
"""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from diffpose_mm_runtime.consensus import consensus, oks

AGGREGATES = ('mean', 'single', 'consensus')
"""What a pose is made of: all hypotheses, the first one, the one that agrees best with all."""


def pair_errors(
    poses: np.ndarray,
    true: np.ndarray,
    annotated: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    match_radius: float,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Count duplicates and inversions among the left-right pairs of joints.

    A duplicate (double counting) has both joints of a pair at one place. An inversion, the term of
    Ronchi and Perona (ICCV 2017), has each joint of a pair at the true place of the other. Pairs
    whose true joints are nearer than twice the radius are left out: there the two cannot be told
    from a right answer.

    Args:
        poses: (M, K, 2).
        true: (K, 2).
        annotated: (K, ) bool.
        pairs: Left and right joints.
        match_radius: Two points match if they are nearer than it; the unit of the poses.

    Returns:
        tuple: Duplicates of each pose (M, ), inversions of each pose (M, ), and ``num_pairs``, how
        many pairs were looked at.
    """
    duplicates = np.zeros(len(poses), dtype=int)
    inversions = np.zeros(len(poses), dtype=int)
    num_pairs = 0
    for left, right in pairs:
        if not (annotated[left] and annotated[right]):
            continue
        if np.linalg.norm(true[left] - true[right]) < 2 * match_radius:
            continue
        num_pairs += 1
        duplicates += np.linalg.norm(poses[:, left] - poses[:, right], axis=-1) < match_radius
        inverted = np.linalg.norm(poses[:, left] - true[right], axis=-1) < match_radius
        inverted &= np.linalg.norm(poses[:, right] - true[left], axis=-1) < match_radius
        inversions += inverted
    return duplicates, inversions, num_pairs


def root_mean_square(values: np.ndarray) -> float:
    """Root of the mean of the squares."""
    return float(np.sqrt((values**2).mean()))


def reliability(spread: np.ndarray, error: np.ndarray, bins: int = 8) -> list[dict]:
    """Error by spread, in bins of equally many joints.

    Args:
        spread: (M, ) predicted standard deviation.
        error: (M, ) distance from the truth, in the same unit.
        bins: How many.

    Returns:
        list[dict]: Of each bin the mean ``spread``, the root mean square ``error``, the
        ``quartiles`` of the error (25, 50 and 75 %), and ``joints``, how many it holds.
    """
    order = np.argsort(spread, kind='stable')
    return [
        dict(
            spread=float(spread[part].mean()),
            error=root_mean_square(error[part]),
            quartiles=np.quantile(error[part], (0.25, 0.5, 0.75)).tolist(),
            joints=len(part),
        )
        for part in np.array_split(order, min(bins, len(order)))
        if len(part)
    ]


@METRICS.register_module()
class HypothesisQuality(BaseMetric):
    """Quality of N hypotheses of a person, where boxes are the annotated ones.

    Keys, after the prefix ``hypotheses/``, in percent but the last three:

    - ``best-of-n PCK`` and ``best-of-n OKS`` for n of ``numbers``, of the hypothesis with the
      highest OKS among the first n, and ``consensus-of-n PCK``. Hypothesis i does not depend on how
      many are drawn, so one pass serves all n.
    - ``mean PCK``, of the prediction.
    - ``duplicate rate`` and ``inversion rate`` of left-right pairs (:func:`pair_errors`), each for
      the prediction (``mean``), a ``single`` hypothesis and the ``consensus`` of all.
    - ``Spearman`` correlation of spread with error over all joints, and ``Spearman occluded`` over
      occluded ones, where the annotations flag them.
    - ``error/spread``, the ratio of their root mean squares: 1 where the spread is that of the
      errors (calibrated), above 1 where it is too small.

    The attribute ``bins`` has the :func:`reliability` of the last evaluation, of ``all`` joints and
    of ``occluded`` ones.

    Args:
        numbers (Sequence[int]): Values of n; those above N are left out. Defaults to (1, 5, 10).
        pck_thr (float): A joint is right within this share of the person's size. Defaults to 0.1.
        match_radius (float): Two joints are at one place within this share of the person's size.
            Defaults to 0.05.
        collect_device (str): As in mmengine. Defaults to 'cpu'.
        prefix (str, optional): Defaults to 'hypotheses'.

    Raises:
        ValueError: While testing: a sample has no hypotheses (``num_hypotheses`` below 2), or its
            box is not annotated.
    """

    default_prefix = 'hypotheses'

    def __init__(
        self,
        numbers: Sequence[int] = (1, 5, 10),
        pck_thr: float = 0.1,
        match_radius: float = 0.05,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not numbers or min(numbers) < 1:
            raise ValueError(f'HypothesisQuality: numbers={numbers} have to be at least 1')
        self.numbers = sorted(set(numbers))
        self.pck_thr = pck_thr
        self.match_radius = match_radius
        self.bins: dict[str, list[dict]] = {}

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Measure a batch; only numbers are kept."""
        for sample in data_samples:
            where = f'image {sample.get("img_path", "")!r} (annotation {sample.get("id")})'
            predicted, true = sample['pred_instances'], sample.get('gt_instances') or {}
            if 'hypotheses' not in predicted:
                raise ValueError(
                    f'HypothesisQuality: no hypotheses for {where}: set '
                    'model.test_cfg.num_hypotheses to 2 or more'
                )
            # A detected box has keypoints as well, made up.
            if 'keypoints' not in true or not sample.get('raw_ann_info'):
                raise ValueError(
                    f'HypothesisQuality: the box of {where} is not an annotated one: set '
                    'bbox_file=None'
                )
            flags = sample['raw_ann_info'].get('occluded')
            for i in range(len(predicted['keypoints'])):
                visible = np.asarray(true['keypoints_visible'])[i]
                visible = visible[..., 0] if visible.ndim == 2 else visible
                # A single hypothesis has no spread.
                spread = predicted.get('keypoint_std', np.zeros_like(predicted['keypoints']))
                measured = self._measure(
                    np.asarray(predicted['keypoints'], dtype=float)[i],
                    np.asarray(predicted['hypotheses'], dtype=float)[i],
                    np.asarray(spread, dtype=float)[i],
                    np.asarray(true['keypoints'], dtype=float)[i],
                    visible > 0,
                    np.asarray(true['bboxes'], dtype=float)[i],
                    flags,
                )
                key = (sample.get('img_id'), sample.get('id'), i)
                self.results.append(dict(measured, sample=key))

    def _measure(
        self,
        pose: np.ndarray,
        hypotheses: np.ndarray,
        deviations: np.ndarray,
        true: np.ndarray,
        annotated: np.ndarray,
        box: np.ndarray,
        occluded: Sequence[int] | None,
    ) -> dict:
        sigmas = np.asarray(self.dataset_meta['sigmas'], dtype=float)
        flipped = self.dataset_meta['flip_indices']
        pairs = [(i, j) for i, j in enumerate(flipped) if i < j]
        area = float((box[2] - box[0]) * (box[3] - box[1]))
        size = np.sqrt(area)
        result: dict = dict(joints=int(annotated.sum()))
        if not result['joints']:
            return result

        distances = np.linalg.norm(hypotheses - true, axis=-1)
        right = (distances < self.pck_thr * size)[:, annotated].mean(1)
        similarity = oks(hypotheses[:, annotated], true[annotated], area, sigmas[annotated])
        for n in self.numbers:
            if n <= len(hypotheses):
                best = int(similarity[:n].argmax())
                chosen = consensus(hypotheses[:n], area, sigmas)
                result[f'best-of-{n} PCK'] = right[best]
                result[f'best-of-{n} OKS'] = similarity[best]
                result[f'consensus-of-{n} PCK'] = right[chosen]
        error = np.linalg.norm(pose - true, axis=-1)
        result['mean PCK'] = (error < self.pck_thr * size)[annotated].mean()

        chosen = consensus(hypotheses, area, sigmas)
        poses = np.stack([pose, hypotheses[0], hypotheses[chosen]])
        duplicates, inversions, result['num_pairs'] = pair_errors(
            poses, true, annotated, pairs, self.match_radius * size
        )
        for i, name in enumerate(AGGREGATES):
            result[f'{name} duplicates'] = int(duplicates[i])
            result[f'{name} inversions'] = int(inversions[i])

        result['error'] = error[annotated] / size
        result['spread'] = np.linalg.norm(deviations, axis=-1)[annotated] / size
        flags = np.zeros(len(annotated)) if occluded is None else np.asarray(occluded)
        result['occluded'] = flags.astype(bool)[annotated]
        return result

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Means over the joints or pairs of all people, and the correlations."""
        # By sample: float sums depend on the order, which differs with several processes.
        results = sorted((r for r in results if r['joints']), key=lambda r: r['sample'])
        if not results:
            raise ValueError('HypothesisQuality: not one annotated joint among the predictions')
        metrics: dict[str, float] = {}
        joints = np.array([r['joints'] for r in results], dtype=float)
        for name in results[0]:
            if name.endswith(('PCK', 'OKS')):
                weights = joints if name.endswith('PCK') else np.ones_like(joints)
                metrics[name] = 100 * float(np.average([r[name] for r in results], weights=weights))
        num_pairs = max(sum(r['num_pairs'] for r in results), 1)
        for name in AGGREGATES:
            duplicate_rate = 100 * sum(r[f'{name} duplicates'] for r in results) / num_pairs
            inversion_rate = 100 * sum(r[f'{name} inversions'] for r in results) / num_pairs
            metrics[f'{name} duplicate rate'] = duplicate_rate
            metrics[f'{name} inversion rate'] = inversion_rate

        error, spread, occluded = (
            np.concatenate([r[key] for r in results]) for key in ('error', 'spread', 'occluded')
        )
        metrics['Spearman'] = _correlation(spread, error)
        self.bins = dict(all=reliability(spread, error))
        if occluded.any():
            metrics['Spearman occluded'] = _correlation(spread[occluded], error[occluded])
            self.bins['occluded'] = reliability(spread[occluded], error[occluded])
        if spread.any():
            metrics['error/spread'] = root_mean_square(error) / root_mean_square(spread)
        table = '\n'.join(
            f'  spread {100 * b["spread"]:6.2f} %  error {100 * b["error"]:6.2f} %  '
            f'{b["joints"]} joints'
            for b in self.bins['all']
        )
        MMLogger.get_current_instance().info(
            f'spread against error, shares of the size of the person:\n{table}'
        )
        return metrics


def _correlation(spread: np.ndarray, error: np.ndarray) -> float:
    if len(spread) < 3 or np.ptp(spread) == 0 or np.ptp(error) == 0:
        return 0.0
    # Slow to import, and nothing else needs it.
    from scipy.stats import spearmanr

    return float(spearmanr(spread, error).statistic)
