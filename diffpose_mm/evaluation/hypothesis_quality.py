"""What hypotheses are worth: best of N, impossible poses, and whether their spread can be believed.

DiffPose draws N poses a person. The average precision of their mean cannot tell whether the true
pose was among them, whether a single pose counts a limb twice, or whether the joints that spread
are the ones that err. This does. All coordinates are image pixels; lengths that decide are shares
of the person's size, the square root of the box's area.
"""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS

from ..codecs.consensus import consensus, oks


def paired_errors(
    poses: np.ndarray,
    true: np.ndarray,
    known: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    radius: float,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Limbs that are counted twice, and left taken for right.

    Args:
        poses: (M, K, 2).
        true: (K, 2).
        known: (K, ) which joints are annotated.
        pairs: Left and right joints.
        radius: Two points nearer than it are one spot. Pairs whose true joints are nearer than
            twice as much are not looked at.

    Returns:
        tuple: Pairs on one spot (M, ); pairs of which each joint is on the spot of the other (M, );
        how many pairs were looked at.
    """
    doubled = np.zeros(len(poses), dtype=int)
    swapped = np.zeros(len(poses), dtype=int)
    looked_at = 0
    for left, right in pairs:
        if not (known[left] and known[right]):
            continue
        if np.linalg.norm(true[left] - true[right]) < 2 * radius:
            continue
        looked_at += 1
        doubled += np.linalg.norm(poses[:, left] - poses[:, right], axis=-1) < radius
        crossed = np.linalg.norm(poses[:, left] - true[right], axis=-1) < radius
        crossed &= np.linalg.norm(poses[:, right] - true[left], axis=-1) < radius
        swapped += crossed
    return doubled, swapped, looked_at


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
    """Quality of N hypotheses a person, where boxes are the annotated ones.

    For n of ``numbers`` (hypothesis i does not depend on how many are drawn, so one pass serves
    all of them): ``best-of-n PCK`` and ``best-of-n OKS`` (of the hypothesis with the highest OKS),
    and ``consensus-of-n PCK``. For the prediction (``mean``), a single hypothesis (``single``) and
    the consensus of all: the shares of ``double`` counted and of ``swap``-ped pairs. ``Spearman``
    correlation of spread with error, over all joints and over occluded ones, where the annotations
    tell them. ``error/spread``, the ratio of their root mean squares: 1 where the spread is that of
    the errors, above 1 where it is too small. All in percent but these three. ``bins`` has the
    :func:`reliability` of the last evaluation, of ``all`` joints and of ``occluded`` ones.

    Args:
        numbers (Sequence[int]): Values of n; those above N are left out. Defaults to (1, 5, 10).
        pck_thr (float): A joint is right within this share of the person's size. Defaults to 0.1.
        spot (float): And on one spot within this one. Defaults to 0.05.
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
        spot: float = 0.05,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not numbers or min(numbers) < 1:
            raise ValueError(f'HypothesisQuality: numbers={numbers} have to be at least 1')
        self.numbers = sorted(set(numbers))
        self.pck_thr = pck_thr
        self.spot = spot
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
                known = np.asarray(true['keypoints_visible'])[i]
                known = known[..., 0] if known.ndim == 2 else known
                measured = self._measure(
                    np.asarray(predicted['keypoints'], dtype=float)[i],
                    np.asarray(predicted['hypotheses'], dtype=float)[i],
                    np.asarray(predicted['keypoint_std'], dtype=float)[i],
                    np.asarray(true['keypoints'], dtype=float)[i],
                    known > 0,
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
        known: np.ndarray,
        box: np.ndarray,
        occluded: Sequence[int] | None,
    ) -> dict:
        sigmas = np.asarray(self.dataset_meta['sigmas'], dtype=float)
        flipped = self.dataset_meta['flip_indices']
        pairs = [(i, j) for i, j in enumerate(flipped) if i < j]
        area = float((box[2] - box[0]) * (box[3] - box[1]))
        size = np.sqrt(area)
        result: dict = dict(joints=int(known.sum()))
        if not result['joints']:
            return result

        right = (np.linalg.norm(hypotheses - true, axis=-1) < self.pck_thr * size)[:, known].mean(1)
        similar = oks(hypotheses[:, known], true[known], area, sigmas[known])
        for n in self.numbers:
            if n <= len(hypotheses):
                best = int(similar[:n].argmax())
                chosen = consensus(hypotheses[:n], area, sigmas)
                result[f'best-of-{n} PCK'] = right[best]
                result[f'best-of-{n} OKS'] = similar[best]
                result[f'consensus-of-{n} PCK'] = right[chosen]
        error = np.linalg.norm(pose - true, axis=-1)
        result['mean PCK'] = (error < self.pck_thr * size)[known].mean()

        chosen = consensus(hypotheses, area, sigmas)
        poses = np.stack([pose, hypotheses[0], hypotheses[chosen]])
        doubled, swapped, result['pairs'] = paired_errors(
            poses, true, known, pairs, self.spot * size
        )
        for name, double, swap in zip(('mean', 'single', 'consensus'), doubled, swapped):
            result[f'{name} double'], result[f'{name} swap'] = int(double), int(swap)

        result['error'] = error[known] / size
        result['spread'] = np.linalg.norm(deviations, axis=-1)[known] / size
        flags = np.zeros(len(known)) if occluded is None else np.asarray(occluded)
        result['occluded'] = flags.astype(bool)[known]
        return result

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Means over the joints or pairs of all people, and the correlations."""
        # By sample: sums depend on the order, which is another one in several processes.
        results = sorted((r for r in results if r['joints']), key=lambda r: r['sample'])
        if not results:
            raise ValueError('HypothesisQuality: not one annotated joint among the predictions')
        metrics: dict[str, float] = {}
        joints = np.array([r['joints'] for r in results], dtype=float)
        for name in results[0]:
            if name.endswith(('PCK', 'OKS')):
                weights = joints if name.endswith('PCK') else np.ones_like(joints)
                metrics[name] = 100 * float(np.average([r[name] for r in results], weights=weights))
        pairs = sum(r['pairs'] for r in results)
        for name in ('mean', 'single', 'consensus'):
            for kind in ('double', 'swap'):
                key = f'{name} {kind}'
                metrics[key] = 100 * sum(r[key] for r in results) / max(pairs, 1)

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
