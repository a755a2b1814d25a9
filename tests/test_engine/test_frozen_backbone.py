"""Frozen backbones and the features that are kept of them: the same loss, and no stale ones."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS

from diffpose_mm.configs import read_config
from diffpose_mm.datasets.worker_generator import fixed_draws
from diffpose_mm.engine.checkpoint import CheckpointError
from diffpose_mm.engine.frozen_backbone import (
    KeptFeaturesCheck,
    backbone_digest,
    build_frozen,
    leave_out_frozen,
    load_backbone,
    use_kept_features,
    write_features,
)
from diffpose_mm.engine.launch import set_data_root
from diffpose_mm.feature_cache import FeatureCacheError


@pytest.fixture(autouse=True)
def _mmpose_scope():
    init_default_scope('mmpose')


TINY = dict(
    _delete_=True, type='ClipVisionTransformer', img_size=(128, 96), patch_size=16,
    arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=24),
    patch_cfg=dict(padding=2), drop_path_rate=0.5, with_cls_token=False, out_type='featmap',
)  # fmt: skip


def tiny(name, root):
    """A shipped config on a tiny data set; the last two with a tiny ViT in place of the ResNet."""
    cfg = read_config('diffpose_synthetic' if name == 'vit' else name)
    set_data_root(cfg, str(root))
    if name == 'vit':
        cfg.merge_from_dict(
            dict(model=dict(backbone=copy.deepcopy(TINY), neck=dict(in_channels=24)))
        )
    return cfg


@pytest.fixture
def saved(tmp_path):
    """Writes a checkpoint with the weights of a config's model, from a seed."""

    def save(cfg, seed=0):
        torch.manual_seed(seed)
        model = MODELS.build(cfg.model)
        model.init_weights()
        path = str(tmp_path / f'weights{seed}.pth')
        torch.save(dict(state_dict=model.state_dict()), path)
        return path

    return save


def keep(cfg, checkpoint, folder, views=2, **kwargs):
    model = build_frozen(cfg, checkpoint)
    dataset = cfg.train_dataloader.dataset
    write_features(model, dataset, str(folder), views, progress=lambda line: None, **kwargs)
    return DATASETS.build(dict(type='KeptFeatures', folder=str(folder), dataset=dataset))


@pytest.mark.parametrize(
    'name', ['diffpose_synthetic', 'heatmap_synthetic', 'strl_synthetic', 'vit']
)
def test_the_loss_is_that_of_frames(tiny_posetrack, tmp_path, saved, name):
    """Broken if kept features are of other frames, another view or order, or of a backbone in
    training, or targets do not belong to them: any changes the loss by more than no bit."""
    cfg = tiny(name, tiny_posetrack)
    checkpoint = saved(cfg)
    kept = keep(cfg, checkpoint, tmp_path / 'kept', batch_size=4)
    model = MODELS.build(ConfigDict({**cfg.model, 'freeze_backbone': True}))
    model.load_state_dict(torch.load(checkpoint)['state_dict'])
    model.train()
    # As rounded on the disk. What the size of a batch rounds is below that but for few values.
    model.backbone.register_forward_hook(
        lambda module, args, out: (
            tuple(o.half().float() for o in out) if isinstance(out, tuple) else out.half().float()
        )
    )
    whole = DATASETS.build(cfg.train_dataloader.dataset)
    losses = []
    for from_features in (True, False):
        items = []
        for sample in range(4):
            with fixed_draws(0, sample, sample % 2):
                items.append(kept[sample] if from_features else whole[sample])
        data = {key: [item[key] for item in items] for key in items[0]}
        torch.manual_seed(3)
        losses.append(model._run_forward(model.data_preprocessor(data, True), mode='loss'))
    for key, value in losses[1].items():
        assert torch.allclose(losses[0][key], value, rtol=1e-4, atol=0), key
    assert 'loss_kpt' in losses[0]


def test_mixed_precision_is_near_and_told(tiny_posetrack, tmp_path, saved):
    """Broken if --amp changed nothing, or features so much that the probe refused them."""
    cfg = tiny('diffpose_synthetic', tiny_posetrack)
    checkpoint = saved(cfg)
    exact = keep(cfg, checkpoint, tmp_path / 'exact', views=1)
    mixed = keep(cfg, checkpoint, tmp_path / 'mixed', views=1, amp=True)
    a, b = (kept.cache.read(0, 0)[0].astype(np.float32) for kept in (exact, mixed))
    assert 0 < np.abs(a - b).max() < 0.05 * np.abs(a).max()
    model = MODELS.build(ConfigDict({**cfg.model, 'freeze_backbone': True}))
    model.load_state_dict(torch.load(checkpoint)['state_dict'])
    KeptFeaturesCheck(mixed).prepare(model, loaded=True)


def test_what_is_written_does_not_depend_on_batches_and_interruptions(
    tiny_posetrack, tmp_path, saved, monkeypatch
):
    """Broken if a resumed or differently batched run keeps other views of the samples."""
    monkeypatch.setattr('diffpose_mm.feature_cache.SHARD_SAMPLES', 5)
    cfg = tiny('diffpose_synthetic', tiny_posetrack)
    checkpoint = saved(cfg)
    one = keep(cfg, checkpoint, tmp_path / 'one', batch_size=5).cache
    for file in (tmp_path / 'one').rglob('00001.*'):
        file.unlink()
    lines = []
    model = build_frozen(cfg, checkpoint)
    dataset = cfg.train_dataloader.dataset
    write_features(model, dataset, str(tmp_path / 'one'), 2, progress=lines.append, batch_size=5)
    assert len(lines) == 3  # what it is, and two shards of six
    two = keep(cfg, checkpoint, tmp_path / 'two', batch_size=2, num_workers=1).cache
    for view in range(2):
        for sample in range(one.samples):
            (a, record_a), (b, record_b) = (cache.read(sample, view) for cache in (one, two))
            assert repr(record_a) == repr(record_b)
            assert np.allclose(a, b, rtol=2e-3, atol=1e-3)


def test_a_frozen_backbone_does_not_change(tiny_posetrack, tmp_path, saved):
    """Broken if statistics, weights or the optimiser's decay move it, or it draws paths."""
    cfg = tiny('diffpose_synthetic', tiny_posetrack)
    use_kept_features(cfg, 'features')
    leave_out_frozen(cfg)
    model = MODELS.build(cfg.model).train()
    assert model.training and model.neck.training
    assert not any(module.training for module in model.backbone.modules())
    before = backbone_digest(model.backbone)
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type=cfg.optim_wrapper.constructor,
            optim_wrapper_cfg=ConfigDict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=1.0)),
        )
    )(model)
    assert sum(len(g['params']) for g in wrapper.param_groups) == sum(
        p.requires_grad for p in model.parameters()
    )
    whole = DATASETS.build(cfg.train_dataloader.dataset)
    data = dict(zip(('inputs', 'data_samples'), zip(*(whole[i].values() for i in range(2)))))
    model.train_step({key: list(value) for key, value in data.items()}, wrapper)
    assert backbone_digest(model.backbone) == before
    assert all(p.grad is None for p in model.backbone.parameters())
    # Layer-wise rates already leave frozen parameters out.
    posetrack = read_config('diffpose_posetrack18')
    posetrack.model.freeze_backbone = True
    leave_out_frozen(posetrack)
    assert posetrack.optim_wrapper.constructor == 'ClipLayerDecayOptimWrapperConstructor'
    trained = tiny('diffpose_synthetic', tiny_posetrack)
    leave_out_frozen(trained)
    assert 'constructor' not in trained.optim_wrapper


def test_every_weight_counts_in_the_digest():
    """Broken if a statistic, a name or a shape can change unnoticed."""
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    digests = {backbone_digest(model)}
    for name, value in model.state_dict().items():
        if name.endswith('num_batches_tracked'):
            value += 1
            assert backbone_digest(model) in digests
            continue
        value.view(-1)[0] += 1e-6
        digests.add(backbone_digest(model))
    digests.add(backbone_digest(torch.nn.Sequential(*model, torch.nn.Linear(1, 1))))
    assert len(digests) == 8
    assert backbone_digest(model.bfloat16()) not in digests


def test_other_backbones_and_settings_are_refused(tiny_posetrack, tmp_path, saved):
    """Broken if training starts on features that its own backbone does not give."""
    cfg = tiny('diffpose_synthetic', tiny_posetrack)
    first, second = saved(cfg, 0), saved(cfg, 1)
    check = KeptFeaturesCheck(keep(cfg, first, tmp_path / 'kept', views=1))

    def model(checkpoint=None, **changes):
        settings = copy.deepcopy(cfg.model)
        settings.freeze_backbone = True
        for key, value in changes.items():
            settings[key].update(value)
        torch.manual_seed(7)
        built = MODELS.build(settings)
        if checkpoint:
            load_backbone(built, checkpoint)
        return built

    check.prepare(model(first), loaded=True)
    fresh = model()
    check.prepare(fresh, loaded=False)
    assert backbone_digest(fresh.backbone) == backbone_digest(model(first).backbone)
    with pytest.raises(FeatureCacheError, match='of another backbone'):
        check.prepare(model(second), loaded=True)
    for changes in (
        dict(data_preprocessor=dict(bgr_to_rgb=False)),
        dict(data_preprocessor=dict(std=[1.0, 1.0, 1.0])),
        dict(backbone=dict(strides=(1, 2, 1))),
    ):
        with pytest.raises(FeatureCacheError, match='not what this config makes'):
            check.prepare(model(first, **changes), loaded=True)
    trained = model(first)
    trained.freeze_backbone = False
    with pytest.raises(FeatureCacheError, match='trains its backbone'):
        check.prepare(trained, loaded=True)


def test_a_backbone_that_cannot_be_had_is_said(tiny_posetrack, tmp_path, saved):
    """Broken if features of random weights are kept, or of a checkpoint that half fits."""
    cfg = tiny('diffpose_synthetic', tiny_posetrack)
    with pytest.raises(FeatureCacheError, match='random weights.*--checkpoint'):
        build_frozen(cfg, None)
    checkpoint = saved(cfg)
    with pytest.raises(CheckpointError, match='is not that of the config'):
        build_frozen(tiny('vit', tiny_posetrack), checkpoint)
    state = torch.load(checkpoint)['state_dict']
    wide = {k: torch.cat([v, v]) if k == 'backbone.conv1.weight' else v for k, v in state.items()}
    bare = {k: v for k, v in state.items() if not k.startswith('backbone.')}
    for weights, message in ((wide, 'size mismatch'), (bare, 'holds no backbone')):
        path = str(tmp_path / 'other.pth')
        torch.save(dict(state_dict=weights), path)
        with pytest.raises(CheckpointError, match=message):
            build_frozen(cfg, path)
    cfg.model.data_preprocessor.batch_augments = [dict(type='BatchSyncRandomResize')]
    with pytest.raises(FeatureCacheError, match='batch_augments'):
        build_frozen(cfg, checkpoint)
