"""Features of a frozen backbone: written once, and known again when training starts."""

import hashlib
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine import dist
from mmengine.config import ConfigDict
from mmengine.logging import print_log
from mmpose.registry import DATASETS, MODELS
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..datasets.kept_features import (
    AugmentedViews,
    KeptFeatures,
    build_tails,
    check_tail,
    cut_pipelines,
    data_identity,
)
from ..feature_cache import FeatureCache, FeatureCacheError, decode, encode
from ..files import atomic_write
from .checkpoint import CheckpointError, prepare_pretrained, read_checkpoint

BACKBONE = 'backbone.pth'
SHOWN_KEYS = 5
PLAIN_CONSTRUCTORS = (None, 'DefaultOptimWrapperConstructor')
# Of the largest value: devices, batch sizes and bfloat16 round differently, other settings differ
# by much more.
PROBE_TOLERANCE = 0.05


def use_kept_features(cfg: ConfigDict, folder: str) -> None:
    """Let a config train on kept features, in place; see :func:`leave_out_frozen` too."""
    cfg.model.freeze_backbone = True
    cfg.train_cfg.features = folder


def leave_out_frozen(cfg: ConfigDict) -> None:
    """Keep the parameters of a frozen backbone out of a config's optimiser, in place."""
    wrapper = cfg.get('optim_wrapper')
    if cfg.model.get('freeze_backbone') and wrapper.get('constructor') in PLAIN_CONSTRUCTORS:
        wrapper.constructor = 'TrainableOptimWrapperConstructor'


def backbone_digest(backbone: nn.Module) -> str:
    """Digest of all weights and statistics of a backbone, 16 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(backbone.state_dict().items()):
        if name.endswith('num_batches_tracked'):
            continue
        value = value.detach().cpu().contiguous()
        digest.update(f'{name} {tuple(value.shape)} {value.dtype}'.encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@torch.no_grad()
def features_of(model: nn.Module, frames: list[Tensor] | Tensor, amp: bool = False) -> Tensor:
    """Features of clips as they are kept, without augmentation of whole batches.

    Args:
        model: An estimator of clips, in testing.
        frames: N of (T, 3, h, w), uint8.
        amp: Mixed precision: float16 on a GPU, bfloat16 on the CPU.

    Returns:
        Tensor: (N, T, C, H, W) float32, on the CPU.
    """
    data = model.data_preprocessor(dict(inputs=frames), training=False)
    inputs = data['inputs']
    kind = torch.bfloat16 if inputs.device.type == 'cpu' else torch.float16
    with torch.autocast(inputs.device.type, kind, enabled=amp):
        return model.extract_frames(inputs).float().cpu()


def probe_picture(height: int, width: int) -> Tensor:
    """A clip of one frame, the same everywhere: (1, 3, h, w), uint8, smooth waves of colour."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (5 + 3 * c)) + np.cos(columns / (4 + 5 * c)) for c in range(3)]
    levels = np.clip(np.rint(127.5 + 60 * np.stack(waves)), 0, 255).astype(np.uint8)
    return torch.from_numpy(levels)[None]


def probe(model: nn.Module, size: tuple[int, int]) -> np.ndarray:
    """Features of :func:`probe_picture`, (C, H, W) float16: what the settings of a model make."""
    return features_of(model, [probe_picture(*size)])[0, 0].half().numpy()


class KeptFeaturesCheck:
    """Compares a model with the features it is to be trained on.

    Args:
        dataset: What the model is trained on.
    """

    def __init__(self, dataset: KeptFeatures) -> None:
        self.cache = dataset.cache

    def prepare(self, model: nn.Module, loaded: bool) -> None:
        """Give a fresh model the backbone that the features are of, and see that it is that one.

        Args:
            model: With its weights.
            loaded: Whether they come from a checkpoint, and are the user's choice.

        Raises:
            FeatureCacheError: The backbone is trained, or is another one.
        """
        model = getattr(model, 'module', model)
        check_frozen(model)
        folder = self.cache.folder
        if backbone_digest(model.backbone) != self.cache.identity['backbone'] and not loaded:
            load_backbone(model, str(folder / BACKBONE))
        found = backbone_digest(model.backbone)
        if found != self.cache.identity['backbone']:
            raise FeatureCacheError(
                f'the features kept in {folder} are of another backbone (weights '
                f'{self.cache.identity["backbone"]}) than the one that training starts from '
                f'({found}): write the features with cache_features --checkpoint of that one, or '
                f'start from {self.cache.facts.get("checkpoint") or folder / BACKBONE}'
            )
        training = model.training
        model.eval()
        now = probe(model, tuple(self.cache.facts['size'])).astype(np.float32)
        model.train(training)
        then = decode(self.cache.facts['probe']).astype(np.float32)
        if now.shape != then.shape or np.abs(now - then).max() > PROBE_TOLERANCE * max(
            np.abs(then).max(), 1e-6
        ):
            raise FeatureCacheError(
                f'the features kept in {folder} are not what this config makes of a frame, though '
                'the weights are the same: out_indices or another setting of model.backbone, or '
                'mean, std or the order of channels of model.data_preprocessor is another. Write '
                'them again with cache_features'
            )


def check_frozen(model: nn.Module) -> None:
    """Raise unless the backbone of a model is frozen.

    Raises:
        FeatureCacheError: It is not.
    """
    if not getattr(getattr(model, 'module', model), 'freeze_backbone', False):
        raise FeatureCacheError(
            "the config trains its backbone, whose features change with every step and can't be "
            'kept: set model.freeze_backbone=True, or train without features'
        )


def load_backbone(model: nn.Module, path: str) -> None:
    """Load the backbone of a checkpoint, which may be of a model with another neck and head.

    Args:
        model: The estimator.
        path: See :func:`read_checkpoint`.

    Raises:
        CheckpointError: It has no backbone, or one of another architecture.
    """
    weights = {
        key.removeprefix('module.').removeprefix('backbone.'): value
        for key, value in read_checkpoint(path)['state_dict'].items()
        if key.removeprefix('module.').startswith('backbone.')
    }
    if not weights:
        raise CheckpointError(f'checkpoint {path} holds no backbone (no key begins with backbone.)')
    try:
        found = model.backbone.load_state_dict(weights, strict=False)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(
            f'the backbone of checkpoint {path} is not that of the config: {reason}'
        ) from error
    missing = [key for key in found.missing_keys if not key.endswith('num_batches_tracked')]
    if missing or found.unexpected_keys:
        raise CheckpointError(
            f'the backbone of checkpoint {path} is not that of the config; only in the model: '
            f'{", ".join(missing[:SHOWN_KEYS]) or "nothing"}; only in the checkpoint: '
            f'{", ".join(found.unexpected_keys[:SHOWN_KEYS]) or "nothing"}'
        )


def build_frozen(cfg: ConfigDict, checkpoint: str | None) -> nn.Module:
    """Build the model of a config for computing features.

    Args:
        cfg: The whole config.
        checkpoint: Whose backbone it gets; None takes what the config itself starts from.

    Raises:
        CheckpointError: See :func:`load_backbone`.
        FeatureCacheError: Without a checkpoint the backbone would be random; or whole batches are
            augmented, which cannot be kept.
    """
    preprocessor = cfg.model.get('data_preprocessor') or {}
    if preprocessor.get('batch_augments'):
        raise FeatureCacheError(
            'model.data_preprocessor.batch_augments mixes the frames of a batch, which kept '
            'features cannot: leave it out'
        )
    checkpoint = checkpoint or cfg.get('load_from')
    pretrained = (cfg.model.backbone.get('init_cfg') or {}) if not checkpoint else {}
    if not checkpoint and pretrained.get('type') != 'Pretrained':
        raise FeatureCacheError(
            'the backbone of this config starts from random weights, whose features are of no use: '
            'give --checkpoint, of a model with the same backbone'
        )
    settings = ConfigDict({**cfg.model, 'freeze_backbone': True})
    if checkpoint:
        settings.backbone = {**settings.backbone, 'init_cfg': None}
    model = MODELS.build(settings)
    if checkpoint:
        load_backbone(model, checkpoint)
    else:
        prepare_pretrained(model.backbone)
        model.backbone.init_weights()
    return model.eval()


def write_features(
    model: nn.Module,
    dataset: dict,
    folder: str,
    views: int,
    seed: int = 0,
    batch_size: int = 16,
    num_workers: int = 0,
    facts: dict[str, Any] | None = None,
    progress: Callable[[str], None] = print,
    amp: bool = False,
) -> FeatureCache:
    """Compute and keep the features of a data set, or those that are still missing.

    The processes of a launcher share the shards. What is written does not depend on their number,
    on the batch size or on interruptions but for the last bits of floating point.

    Args:
        model: Of :func:`build_frozen`, on its device.
        dataset: Config of the data set.
        folder: Where to.
        views: Augmented views of each sample.
        seed: Of what is drawn for them.
        batch_size: Clips that the backbone sees at once.
        num_workers: Loading processes.
        facts: What is told of them beside.
        progress: Called with a line of text.
        amp: Mixed precision; see :func:`features_of`.

    Raises:
        FeatureCacheError: The folder holds other features, or these cannot be kept.
        OSError: There is not enough room, said before the work; or a frame cannot be read.
    """
    cut, tails, heads = cut_pipelines(dataset)
    source = DATASETS.build(cut)
    if hasattr(source, 'full_init'):
        source.full_init()
    identity = dict(
        backbone=backbone_digest(model.backbone),
        pipeline=heads,
        data=data_identity(source, seed),
        seed=seed,
    )
    frames, record = AugmentedViews(source, range(1), 0, seed)[0]
    check_tail(build_tails(tails)[record.pop('kept_tail')], frames, record)
    size = tuple(frames.shape[-2:])
    if dist.is_main_process():
        shape = tuple(features_of(model, [frames])[0].shape)
        told = dict(seed=seed, size=size, probe=encode(probe(model, size)))
        cache = FeatureCache.create(folder, identity, len(source), shape, {**(facts or {}), **told})
        needed = cache.check_space(views)
        progress(
            f'{folder}: {cache.samples:,} samples, {views} views, features {cache.shape}: '
            f'{cache.sample_bytes:,} bytes each; {needed / 1e9:.2f} GB to write'
        )
        with atomic_write(os.path.join(folder, BACKBONE), 'wb') as file:
            weights = {f'backbone.{k}': v.cpu() for k, v in model.backbone.state_dict().items()}
            torch.save(dict(state_dict=weights), file)
    dist.barrier()
    cache = FeatureCache(folder)
    missing = cache.missing(views)
    mine = missing[dist.get_rank() :: dist.get_world_size()]
    start, done = time.time(), 0
    for view, shard in mine:
        samples = cache.shard_range(shard)
        loader = DataLoader(
            AugmentedViews(source, samples, view, seed),
            batch_size,
            num_workers=num_workers,
            collate_fn=list,
        )
        features = np.empty((len(samples), *cache.shape), np.float16)
        records: list[dict] = []
        for batch in loader:
            computed = features_of(model, [clip for clip, _ in batch], amp)
            with np.errstate(over='ignore'):
                features[len(records) : len(records) + len(batch)] = computed.numpy()
            records += [record for _, record in batch]
        cache.write(view, shard, features, records)
        done += len(samples)
        rate = done / (time.time() - start)
        left = sum(len(cache.shard_range(s)) for _, s in mine) - done
        progress(
            f'view {view + 1} of {views}, shard {shard + 1} of {cache.num_shards}: '
            f'{rate:.1f} samples/s, {left / rate / 60:.0f} min left'
        )
    dist.barrier()
    if dist.is_main_process():
        cache.finish(views)
    dist.barrier()
    print_log(f'{folder}: all {views} views are complete', 'current')
    return FeatureCache(folder)
