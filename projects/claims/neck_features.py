"""The neck's features of a data set, computed once: what sampling and training of the head need.

Everything behind the neck can then be run again and again, in minutes on two cores.
"""

import pickle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, MODELS
from mmpose.structures import PoseDataSample

from diffpose_mm.configs import read_config
from diffpose_mm.engine import read_checkpoint
from diffpose_mm.engine.launch import set_data_root
from diffpose_mm.evaluation import HypothesisQuality, PoseTrackAP
from diffpose_mm.files import atomic_write


class NeckFeatures(NamedTuple):
    """Features 𝔽 of M people.

    Attributes:
        features: (M, 2, C, H, W), of the clip and of its mirror image.
        samples: M data samples, with their annotation.
    """

    features: torch.Tensor
    samples: list[PoseDataSample]


class Setting(NamedTuple):
    """A model and the data set that it is tested on."""

    model: torch.nn.Module
    dataset: torch.utils.data.Dataset


def build(config: str, checkpoint: str, data_root: str, split: str = 'test') -> Setting:
    """Build a model with its weights in evaluation mode, and a data set of its config.

    Args:
        config: A config, or the name of one of the package.
        checkpoint: Weights.
        data_root: Folder of the data.
        split: 'test' or 'train'.
    """
    cfg = read_config(config)
    set_data_root(cfg, data_root)
    init_default_scope('mmpose')
    model = MODELS.build(cfg.model)
    model.load_state_dict(read_checkpoint(checkpoint)['state_dict'])
    dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
    return Setting(model.eval(), dataset)


@torch.no_grad()
def features_of(setting: Setting, path: Path, batch_size: int = 16, views: int = 1) -> NeckFeatures:
    """Compute the features of a data set, or read them where they were kept.

    Args:
        setting: Of :func:`build`.
        path: File that keeps them.
        batch_size: People at once.
        views: How often the data set is gone through; more than once where its pipeline draws.
    """
    if path.is_file():
        with open(path, 'rb') as file:
            features, samples = pickle.load(file)
        return NeckFeatures(torch.from_numpy(features).float(), samples)
    model, dataset = setting
    found, kept = [], []
    order = list(range(len(dataset)))
    for view in range(views):
        for start in range(0, len(order), batch_size):
            batch = pseudo_collate([dataset[i] for i in order[start : start + batch_size]])
            data = model.data_preprocessor(batch, False)
            inputs = data['inputs']
            pair = [model.extract_feat(x)[-1] for x in (inputs, inputs.flip(-1))]
            found.append(torch.stack(pair, 1).half().numpy())
            kept += data['data_samples']
            if start // batch_size % 20 == 0:
                print(f'view {view + 1} of {views}: {start} of {len(order)} people', flush=True)
    features = np.concatenate(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, 'wb') as file:
        pickle.dump((features, kept), file, protocol=4)
    return NeckFeatures(torch.from_numpy(features).float(), kept)


@torch.no_grad()
def heatmaps_of(
    head: torch.nn.Module, kept: NeckFeatures, test_cfg: dict, batch_size: int = 32
) -> np.ndarray:
    """Sample with other settings: (M, N, K, h, w), float16."""
    cfg = head.check_test_cfg(test_cfg)
    found = []
    for start in range(0, len(kept.samples), batch_size):
        part = slice(start, start + batch_size)
        views = kept.features[part].unbind(1)
        feats = [(view,) for view in views] if cfg['flip_test'] else (views[0],)
        found.append(head.sample(feats, kept.samples[part], cfg).half().numpy())
    return np.concatenate(found)


def score(
    model: torch.nn.Module,
    samples: list[PoseDataSample],
    decoded: list[dict[str, np.ndarray]],
    dataset: torch.utils.data.Dataset,
    annotations: Path,
) -> dict[str, float]:
    """AP and rates of poses in input pixels, as ``decode_hypotheses`` of the codec gives them.

    Args:
        model: The estimator.
        samples: Of the people.
        decoded: Their poses.
        dataset: Which they are of.
        annotations: File of the images that count.

    Returns:
        dict: In percent: ``AP``, ``AP (occluded)``, ``PCK``, ``duplicates`` and ``inversions``.
    """
    metrics = [PoseTrackAP(ann_file=str(annotations)), HypothesisQuality(numbers=[1])]
    for metric in metrics:
        metric.dataset_meta = dataset.metainfo
    instances = [InstanceData(**{k: v.copy() for k, v in d.items()}) for d in decoded]
    for result in model.add_pred_to_datasample(instances, None, samples):
        record = dict(result.to_dict(), pred_instances=result.pred_instances.to_dict())
        for metric in metrics:
            metric.process([], [record])
    ap, quality = (metric.compute_metrics(metric.results) for metric in metrics)
    return {
        'AP': ap['AP'],
        'AP (occluded)': ap.get('AP (occluded)', float('nan')),
        'PCK': quality['mean PCK'],
        'duplicates': quality['mean duplicate rate'],
        'inversions': quality['mean inversion rate'],
    }
