"""A data set whose samples are features kept on disk, in place of frames.

The pipeline of the data set is cut in two. What comes before its targets (loading, flips, warps,
anything that changes frames) was run when the features were computed, and its results are kept with
them. What comes after (GenerateTarget, packing) is run at every access, so that targets are those
of the pipeline as it is now, in the same augmented view.
"""

import copy
import json
import os.path as osp
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs
from mmpose.datasets.transforms.formatting import image_to_tensor
from mmpose.registry import DATASETS, TRANSFORMS
from torch.utils.data import Dataset

from ..feature_cache import FeatureCache, FeatureCacheError, encode
from ..identity import value_identity
from .samplers.clip_block_sampler import clip_keys_of
from .worker_generator import fixed_draws

UNIMPORTANT = ('cache_mb', 'backend_args')
"""Arguments of transforms that change nothing in the frames."""


@TRANSFORMS.register_module()
class KeepView(BaseTransform):
    """The end of a pipeline that is run once: frames and everything else, apart.

    Args:
        tail (int): Number of the pipeline's tail, which the record then names.
    """

    def __init__(self, tail: int) -> None:
        super().__init__()
        self.tail = tail

    def transform(self, results: dict) -> dict:
        """Give ``frames`` (T, 3, h, w), uint8, and the ``record`` of the sample."""
        frames = results['img']
        record = {k: v for k, v in results.items() if k not in ('img', 'dataset')}
        if 'clip_decodes' in record:
            record['clip_decodes'] = 0  # nothing is decoded for those who read it
        frames = list(frames) if isinstance(frames, (list, tuple)) else [frames]
        return dict(
            frames=image_to_tensor(frames), record={**record, 'kept_tail': self.tail}, img=frames
        )


def cut_pipelines(dataset: dict) -> tuple[dict, list[list[dict]], dict]:
    """Cut every pipeline of a data set's config in front of its targets.

    Args:
        dataset: Config of a data set, which may hold others.

    Returns:
        tuple: The config with heads that end with :class:`KeepView`; the tails, by number; and what
        the heads are, for an identity.

    Raises:
        FeatureCacheError: No pipeline packs samples.
    """
    dataset = copy.deepcopy(dataset)
    tails: list[list[dict]] = []
    heads: dict[str, dict] = {}
    for owner in _owners_of_pipelines(dataset):
        steps = [dict(step) for step in owner['pipeline']]
        kinds = [TRANSFORMS.get(step['type']) for step in steps]
        ends = [
            i
            for i, kind in enumerate(kinds)
            if isinstance(kind, type) and issubclass(kind, (GenerateTarget, PackPoseInputs))
        ]
        if not ends:
            continue
        head, tail = steps[: ends[0]], steps[ends[0] :]
        heads[str(len(tails))] = {
            f'{i} {step["type"]}': {
                k: json.loads(json.dumps(v, default=repr))
                for k, v in step.items()
                if k not in ('type', *UNIMPORTANT)
            }
            for i, step in enumerate(head)
        }
        owner['pipeline'] = [*head, dict(type='KeepView', tail=len(tails))]
        tails.append(tail)
    if not tails:
        raise FeatureCacheError(
            'the training data set has no pipeline that ends with PackClipInputs, so its features '
            'cannot be kept'
        )
    return dataset, tails, heads


def _owners_of_pipelines(config: Any) -> Iterator[dict]:
    if isinstance(config, dict):
        if isinstance(config.get('pipeline'), (list, tuple)):
            yield config
        for key, value in config.items():
            if key != 'pipeline':
                yield from _owners_of_pipelines(value)
    elif isinstance(config, (list, tuple)):
        for item in config:
            yield from _owners_of_pipelines(item)


def _leaves(dataset: Any) -> Iterator[Any]:
    """The data sets that others are put together of."""
    parts = [*getattr(dataset, 'datasets', ()), getattr(dataset, 'dataset', None)]
    parts = [part for part in parts if part is not None]
    if not parts:
        yield dataset
    for part in parts:
        yield from _leaves(part)


def data_identity(dataset: Dataset, seed: int) -> dict:
    """What the samples of a data set are: annotations, and names and sizes of their frames.

    Folders play no part, so that a data set can be moved. A frame that is exchanged by another of
    the same number of bytes is not noticed.

    Args:
        dataset: One that gives ``get_data_info``, or is put together of such.
        seed: Of the draws, where neighbours are drawn.

    Raises:
        FeatureCacheError: A part of it does not tell its samples.
    """
    samples, frames, sizes = 0, {}, 0
    annotations = []
    for number, leaf in enumerate(_leaves(dataset)):
        if not hasattr(leaf, 'get_data_info'):
            raise FeatureCacheError(
                f'a {type(leaf).__name__} does not tell its samples (get_data_info), so features '
                'of it cannot be known again'
            )
        root = str(getattr(leaf, 'data_root', '') or '')
        for idx in range(len(leaf)):
            with fixed_draws(seed, number, idx):
                info = leaf.get_data_info(idx)
            paths = info.get('clip_paths') or [info.get('img_path')]
            for path in paths:
                if path not in frames:
                    frames[path] = [number, osp.relpath(path, root) if root else path, _size(path)]
                    sizes += max(frames[path][2], 0)
            chosen = {
                k: v for k, v in info.items() if k not in ('dataset', 'clip_paths', 'img_path')
            }
            annotations.append(value_identity([encode(chosen), [frames[p] for p in paths]]))
            samples += 1
    return dict(
        samples=samples,
        annotations=value_identity(annotations),
        frames=dict(files=len(frames), bytes=sizes, digest=value_identity(list(frames.values()))),
    )


def _size(path: str) -> int:
    try:
        return osp.getsize(path)
    except OSError:
        return -1


class AugmentedViews(Dataset):
    """Samples of a data set in one augmented view, drawn from (seed, sample, view) alone.

    Args:
        dataset: Built of the first value of :func:`cut_pipelines`.
        samples: Which of them.
        view: Number of the view.
        seed: Of the draws.
    """

    def __init__(self, dataset: Dataset, samples: Sequence[int], view: int, seed: int) -> None:
        self.dataset, self.samples, self.view, self.seed = dataset, samples, view, seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict]:
        """The frames (T, 3, h, w), uint8, and the record of a sample."""
        sample = self.samples[index]
        with fixed_draws(self.seed, sample, self.view):
            kept = self.dataset[sample]
        return kept['frames'], kept['record']


def build_tails(tails: list[list[dict]]) -> list[Compose]:
    """Build the tails of :func:`cut_pipelines`."""
    return [Compose(tail) for tail in tails]


def check_tail(tail: Compose, frames: torch.Tensor, record: dict) -> None:
    """Raise if a tail changes frames: with features in their place it would change nothing.

    Args:
        tail: Of the record's pipeline.
        frames: (T, 3, h, w).
        record: Of the same sample.

    Raises:
        FeatureCacheError: It does.
    """
    images = [frame.permute(1, 2, 0).numpy().copy() for frame in frames]
    results = {**copy.deepcopy(record), 'img': images}
    packed = tail(results)
    if packed is None or not torch.equal(torch.as_tensor(packed['inputs']), frames):
        names = ', '.join(type(step).__name__ for step in tail.transforms)
        raise FeatureCacheError(
            f'a transform after the targets changes the frames (one of {names}), which cannot be '
            'done to kept features: put it before GenerateTarget'
        )


@DATASETS.register_module()
class KeptFeatures(Dataset):
    """Another data set's samples with kept features in place of frames.

    A packed sample has ``features``, a float16 tensor (T, C, H, W) of the frames from the oldest to
    the newest, and ``data_samples`` as the data set itself packs it. Which view a sample shows
    follows from the epoch: in as many epochs as there are views it shows each once.

    Args:
        folder (str): What ``cache_features`` wrote.
        dataset (dict): Config of the data set.

    Raises:
        FeatureCacheError: The features are incomplete, damaged, or of another data set or pipeline.
    """

    def __init__(self, folder: str, dataset: dict) -> None:
        self.cache = FeatureCache(folder)
        cut, tails, heads = cut_pipelines(dataset)
        self.dataset = DATASETS.build(cut)
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()
        advice = 'write the features of this config, or train with the one they were written for'
        self.cache.check(dict(pipeline=heads), advice)
        self.cache.check(dict(data=data_identity(self.dataset, self.cache.facts['seed'])), advice)
        self.cache.check_complete()
        self.tails = build_tails(tails)
        self.epoch = 0

    @property
    def metainfo(self) -> dict:
        """That of the data set."""
        return self.dataset.metainfo

    @property
    def views(self) -> int:
        """Views of each sample."""
        return self.cache.views

    def __len__(self) -> int:
        return self.cache.samples

    def clip_keys(self) -> list[tuple]:
        """The video and the keyframe's number of every sample, for samplers."""
        return clip_keys_of(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from which the views follow."""
        self.epoch = epoch

    def __getitem__(self, idx: int) -> dict:
        """The features and the packed sample."""
        idx = int(idx) % len(self)
        features, record = self.cache.read(idx, (self.epoch + idx) % self.views)
        tail = self.tails[record.pop('kept_tail')]
        # Packing wants frames; these take the least room.
        blank = np.zeros((1, 1, 3), np.uint8)
        packed = tail({**record, 'img': [blank] * len(features)})
        return dict(
            features=torch.from_numpy(np.array(features)), data_samples=packed['data_samples']
        )
