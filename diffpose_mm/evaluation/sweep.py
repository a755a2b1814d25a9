"""A sweep over S denoising steps and N hypotheses: one pass over a data set serves all settings.

Backbone and neck run once for a sample. For each S the largest N is drawn, and smaller N are its
first hypotheses: the noise of a hypothesis does not depend on how many there are. :class:`Sweep`
makes the predictions, :class:`SweepScores` gives them to metrics.
"""

import copy
import hashlib
import os
import os.path as osp
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import BaseMetric, DumpResults
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData
from mmpose.registry import METRICS
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ..files import atomic_write, data_files
from .hypothesis_quality import HypothesisQuality

# Of these metrics the numbers named here make the columns, of any other metric all of them.
COLUMNS = {'PoseTrackAP': {'AP': 'AP', 'AP (occluded)': 'AP occl.'}}
# A sweep writes no submission, least of all one for each setting.
_FILE_ARGUMENTS = ('outfile_prefix', 'format_only')


class Sweep:
    """One pass over a data set; finished batches are kept in a folder, so that it can be resumed.

    Args:
        model: An estimator of clips with a diffusion head, in evaluation mode.
        dataset: The data set.
        steps: Values of S.
        numbers: Values of N, ascending.
        folder: Finished batches are read from it, others written to it.
        batch_size: Samples at once.
        workers: Processes that load.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        steps: Sequence[int],
        numbers: Sequence[int],
        folder: str,
        batch_size: int,
        workers: int,
    ) -> None:
        self.model = model
        self.steps = steps
        self.numbers = numbers
        self.folder = folder
        self.batches = [
            list(range(i, min(i + batch_size, len(dataset))))
            for i in range(0, len(dataset), batch_size)
        ]
        missing = [b for b in self.batches if self._missing(b)]
        self.loader = DataLoader(
            dataset, batch_sampler=missing, num_workers=workers, collate_fn=pseudo_collate
        )

    def __len__(self) -> int:
        return len(self.batches) * len(self.steps)

    def _file(self, batch: Sequence[int], steps: int) -> str:
        return osp.join(self.folder, f'{batch[0]:07d}_S{steps}.pth')

    def _missing(self, batch: Sequence[int]) -> list[int]:
        return [s for s in self.steps if not osp.exists(self._file(batch, s))]

    def __iter__(self) -> Iterator[list[dict]]:
        """Yield the records of each batch and S: samples as dicts, with ``cells`` beside.

        ``cells`` maps (S, N, ``'mean'`` or ``'consensus'``) to a ``pred_instances`` of that kind.
        """
        loaded = iter(self.loader)
        for batch in self.batches:
            missing = self._missing(batch)
            if missing:
                for steps, records in zip(missing, self.predict(next(loaded), missing)):
                    with atomic_write(self._file(batch, steps), 'wb') as file:
                        torch.save(records, file)
            for steps in self.steps:
                with open(self._file(batch, steps), 'rb') as file:
                    yield torch.load(file, weights_only=True)

    @torch.no_grad()
    def predict(self, data: dict, all_steps: Sequence[int]) -> Iterator[list[dict]]:
        """Yield the records of a batch for each S."""
        model, head = self.model, self.model.head
        data = model.data_preprocessor(data, False)
        inputs, samples = data['inputs'], data['data_samples']
        feats = model.extract_feat(inputs)
        if model.test_cfg.get('flip_test', False):
            feats = [feats, model.extract_feat(inputs.flip(-1))]
        for steps in all_steps:
            records = [dict(sample.to_dict(), cells={}) for sample in samples]
            cfg = dict(model.test_cfg, sampling_steps=steps, num_hypotheses=self.numbers[-1])
            heatmaps = head.sample(feats, samples, head.check_test_cfg(cfg)).cpu().numpy()
            for number in self.numbers:
                means = [head.decoder.decode_hypotheses(h[:number]) for h in heatmaps]
                wholes = [head.take_consensus(d, s) for d, s in zip(means, samples)]
                for kind, decoded in (('mean', means), ('consensus', wholes)):
                    instances = [InstanceData(**d) for d in decoded]
                    results = model.add_pred_to_datasample(instances, None, samples)
                    for record, result in zip(records, results):
                        record['cells'][steps, number, kind] = result.pred_instances.to_dict()
            yield records


class SweepScores:
    """The scores of every setting of a :class:`Sweep`.

    Args:
        evaluators: Configs of metrics, as in ``test_evaluator``: a dict, a list, or an
            ``Evaluator``. :class:`HypothesisQuality` is added where it is not named; metrics that
            only dump predictions are left out.
        metainfo: Of the data set.

    Raises:
        ValueError: ``evaluators`` is a kind of evaluator that cannot be taken apart; later, a
            metric cannot score the predictions of a single setting.
    """

    def __init__(self, evaluators: Any, metainfo: dict) -> None:
        # Built once, so that annotations are read once for all settings.
        self.quality = _build(dict(type='HypothesisQuality'), metainfo)
        self.metrics: dict[str, BaseMetric] = {}
        for cfg in _metric_configs(evaluators):
            metric = _build(cfg, metainfo)
            name = type(metric).__name__
            if isinstance(metric, HypothesisQuality):
                self.quality = metric
            elif not isinstance(metric, DumpResults):
                # One metric may be there twice, with other arguments.
                self.metrics[
                    name if name not in self.metrics else f'{name} {len(self.metrics)}'
                ] = metric
        self.cells: dict[tuple[int, int, str], dict[str, BaseMetric]] = {}

    def add(self, records: Sequence[dict]) -> None:
        """Give the records of a batch to the metrics."""
        for record in records:
            for (steps, number, kind), instances in record['cells'].items():
                sample = dict(record, pred_instances=instances)
                key = steps, number, kind
                if key not in self.cells:
                    self.cells[key] = {n: _fresh(metric) for n, metric in self.metrics.items()}
                    if kind == 'mean':
                        self.cells[key]['HypothesisQuality'] = _fresh(self.quality)
                        self.cells[key]['HypothesisQuality'].numbers = [number]
                for name, metric in self.cells[key].items():
                    _process(name, metric, sample)

    def summarise(self) -> tuple[list[dict], dict[tuple[int, int], dict]]:
        """Evaluate all settings.

        Returns:
            tuple: One dict of numbers for each S x N, in the units of the metrics (of
            :class:`HypothesisQuality`: percent but the correlations and the ratio of error to
            spread); and the reliability bins by (S, N), for N > 1.
        """
        # The tables of each metric would be logged as well, one for every setting.
        logger = MMLogger.get_current_instance()
        level = logger.level
        logger.setLevel('WARNING')
        try:
            settings = dict.fromkeys((steps, number) for steps, number, _ in self.cells)
            rows = [self._row(steps, number) for steps, number in settings]
        finally:
            logger.setLevel(level)
        bins = {
            (steps, number): self.cells[steps, number, 'mean']['HypothesisQuality'].bins
            for steps, number in settings
            if number > 1
        }
        return rows, bins

    def _row(self, steps: int, number: int) -> dict:
        row: dict[str, Any] = dict(S=steps, N=number)
        for kind in ('mean', 'consensus'):
            for name in self.metrics:
                scores = _scores(name, self.cells[steps, number, kind][name])
                shown = COLUMNS.get(name, {key: key for key in scores})
                for key, column in shown.items():
                    if key in scores:
                        # Two metrics may have a number of one name.
                        label = f'{column} {kind}'
                        row[label if label not in row else f'{name} {label}'] = scores[key]
        scores = _scores(
            'HypothesisQuality', self.cells[steps, number, 'mean']['HypothesisQuality']
        )
        row['best-of-N PCK'] = scores[f'best-of-{number} PCK']
        row['best-of-N OKS'] = scores[f'best-of-{number} OKS']
        row['mean PCK'] = scores['mean PCK']
        for rate in ('duplicate rate', 'inversion rate'):
            for kind in ('mean', 'consensus'):
                row[f'{kind} {rate}'] = scores[f'{kind} {rate}']
        if number > 1:
            for name in ('Spearman', 'Spearman occluded', 'error/spread'):
                if name in scores:
                    row[name] = scores[name]
        return row


def data_digest(dataset: Dataset) -> str:
    """Digest of the samples, their boxes and keypoints, and of the size and time of their files.

    All files of the folders of the keyframes count, neighbours among them.
    """
    digest = hashlib.sha256()
    folders: dict[str, None] = {}
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        folders[osp.dirname(info['img_path'])] = None
        digest.update(repr((info['img_path'], info.get('id'))).encode())
        for name in ('bbox', 'bbox_score', 'keypoints', 'keypoints_visible'):
            if info.get(name) is not None:
                digest.update(info[name].tobytes())
    for folder in folders:
        for name in data_files(folder) if osp.isdir(folder) else ():
            stat = os.stat(osp.join(folder, name))
            digest.update(repr((folder, name, stat.st_size, stat.st_mtime_ns)).encode())
    return digest.hexdigest()


def _metric_configs(evaluators: Any) -> list[dict]:
    """The configs of the metrics in a ``test_evaluator``."""
    if isinstance(evaluators, dict) and 'metrics' in evaluators:
        if evaluators.get('type', 'Evaluator') != 'Evaluator':
            raise ValueError(
                f'test_evaluator.type={evaluators["type"]} scores several data sets, and a sweep '
                'is over one: give the metrics of one data set'
            )
        evaluators = evaluators['metrics']
    return [evaluators] if isinstance(evaluators, dict) else list(evaluators or ())


def _build(cfg: dict, metainfo: dict) -> BaseMetric:
    metric = METRICS.build({k: v for k, v in cfg.items() if k not in _FILE_ARGUMENTS})
    metric.dataset_meta = metainfo
    return metric


def _fresh(metric: BaseMetric) -> BaseMetric:
    """A metric with the same arguments and annotations, and without results."""
    metric = copy.copy(metric)
    metric.results = []
    return metric


def _process(name: str, metric: BaseMetric, sample: dict) -> None:
    kept = len(metric.results)
    try:
        metric.process([], [sample])
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f'test_evaluator: {name} cannot score one setting of S and N: '
            f'{type(error).__name__}: {error}. Leave it out, or take a metric of poses such as '
            'PoseTrackAP, CocoMetric or PCKAccuracy'
        ) from error
    if len(metric.results) == kept:
        raise ValueError(
            f'test_evaluator: {name} takes nothing from a predicted sample alone (it reads the '
            'batch of inputs, which a sweep does not keep): leave it out'
        )


def _scores(name: str, metric: BaseMetric) -> dict[str, float]:
    scores = {
        key: float(value)
        for key, value in metric.compute_metrics(metric.results).items()
        if isinstance(value, (int, float)) or getattr(value, 'ndim', None) == 0
    }
    if not scores:
        raise ValueError(f'test_evaluator: {name} gives no number: leave it out')
    return scores
