"""Every config: builds, trains a step, tests a step, and is what its name says."""

import glob
import json
import os.path as osp
from copy import deepcopy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import METRICS, MODELS, VISUALIZERS
from torch import nn

from diffpose_mm.config_variables import check_variables
from diffpose_mm.engine.launch import set_data_root
from diffpose_mm.keypoint_sets import KEYPOINT_SETS

CONFIG_DIR = osp.join(osp.dirname(__file__), '..', 'configs')
CONFIGS = sorted(osp.basename(path) for path in glob.glob(osp.join(CONFIG_DIR, '*.py')))
OF_PSEUDO_LABELS = ('movenet', 'diffpose_real')
WIDTHS = dict(base=768, large=1024, huge=1280)


def load(name):
    return Config.fromfile(osp.join(CONFIG_DIR, name))


def cut_down(cfg):
    """Make a large model affordable: one layer of its own width, from random weights, one clip."""
    backbone = cfg.model.backbone
    backbone.init_cfg = None
    cfg.model.head.pop('init_cfg', None)
    if backbone.type == 'ClipVisionTransformer':
        arch = backbone.arch
        width = WIDTHS[arch] if isinstance(arch, str) else arch['embed_dims']
        backbone.arch = dict(
            embed_dims=width, num_layers=1, num_heads=width // 64, feedforward_channels=width
        )
        cfg.model.neck.num_layers = 1
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(batch_size=1, num_workers=0, persistent_workers=False)
    return cfg


@pytest.fixture
def data_of(tiny_posetrack, tiny_jhmdb, tmp_path):
    """Gives the root of the data that a config wants."""

    def root(name):
        if not name.startswith(OF_PSEUDO_LABELS):
            return tiny_jhmdb if 'jhmdb' in name else tiny_posetrack
        # COCO's joints, in the layout of pseudo_label.
        (tmp_path / 'images').symlink_to(tiny_posetrack / 'images')
        for split in ('train', 'val'):
            file = tiny_posetrack / f'annotations/posetrack18_{split}.json'
            data = json.loads(file.read_text())
            data['categories'][0]['keypoints'] = list(KEYPOINT_SETS['coco17'].keypoints)
            (tmp_path / 'annotations' / split).mkdir(parents=True)
            (tmp_path / 'annotations' / split / 'all.json').write_text(json.dumps(data))
        return tmp_path

    return root


@pytest.mark.parametrize('name', CONFIGS)
def test_trains_and_tests_a_step(name, data_of, tiny_posetrack):
    """Broken if a config names what does not exist or what does not fit together."""
    torch.manual_seed(0)
    cfg = cut_down(load(name))
    init_default_scope('mmpose')
    set_data_root(cfg, str(data_of(name)))
    for part in cfg.train_dataloader.dataset.get('datasets', [])[1:]:
        part.data_root = str(tiny_posetrack)  # drawn people beside real ones
    model = MODELS.build(cfg.model)
    model.init_weights()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {key: value.clone() for key, value in model.named_parameters()}

    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    frames = len(cfg.frame_offsets)
    width, height = cfg.codec.input_size
    assert tuple(batch['inputs'][0].shape) == (frames, 3, height, width)
    losses = model.train_step(batch, optim_wrapper)
    assert torch.isfinite(losses['loss'])
    still = [
        key
        for key, value in model.named_parameters()
        if value.requires_grad and torch.equal(before[key], value)
    ]
    # A weight that no step moves is not part of the model that the config means to describe.
    assert not [key for key in still if not key.endswith('bias')], still

    model.eval()
    loader = Runner.build_dataloader(cfg.test_dataloader, seed=0)
    batch = next(iter(loader))
    with torch.no_grad():
        samples = model.test_step(batch)
    for sample in samples:
        assert sample.pred_instances.keypoints.shape == (1, cfg.model.head.out_channels, 2)
    metric = METRICS.build(cfg.test_evaluator)
    metric.dataset_meta = loader.dataset.metainfo
    metric.process(batch, [sample.to_dict() for sample in samples])


@pytest.mark.parametrize('head', ['diffpose', 'strl', 'heatmap'])
@pytest.mark.parametrize('data', ['posetrack18', 'synthetic'])
def test_every_head_trains_in_bfloat16(data, head, tiny_posetrack):
    """Broken if --amp on a CPU ended in "unsupported ScalarType BFloat16": mmpose goes by numpy."""
    torch.manual_seed(0)
    cfg = cut_down(load(f'{head}_{data}.py'))
    init_default_scope('mmpose')
    set_data_root(cfg, str(tiny_posetrack))
    model = MODELS.build(cfg.model)
    cfg.optim_wrapper.type = 'BFloat16OptimWrapper'
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    losses = model.train_step(batch, build_optim_wrapper(model, cfg.optim_wrapper))
    assert torch.isfinite(losses['loss']) and losses['loss'].dtype == torch.float32


@pytest.mark.parametrize('name', CONFIGS)
def test_no_variable_is_set_in_vain(name):
    """Broken if a config of ours had the fault that those of users are refused for."""
    check_variables(osp.join(CONFIG_DIR, name))


def test_names_are_unique():
    """mim finds a config of the package by its base name alone."""
    names = [osp.basename(p) for p in glob.glob(osp.join(CONFIG_DIR, '**', '*.py'), recursive=True)]
    assert len(names) == len(set(names))
    for kind in ('', '_384x288', '_vit-s', '_vit-l', '_vit-h'):
        assert f'diffpose_posetrack18{kind}.py' in names


def leaves(dataset):
    """The data sets that one is put together of."""
    parts = dataset.get('datasets') or [dataset.get('dataset')]
    return [x for part in parts for x in leaves(part)] if parts[0] else [dataset]


@pytest.mark.parametrize('name', CONFIGS)
def test_inferencer_finds_what_it_reads(name):
    """mmpose's inferencers read these fields of a config and fail without them."""
    cfg = load(name)
    assert cfg.data_mode == 'topdown' and cfg.dataset_type.endswith('ClipDataset')
    for dataset in leaves(cfg.train_dataloader.dataset):
        assert dataset.type == cfg.dataset_type
    assert cfg.test_dataloader.dataset.pipeline[0].type == 'LoadClip'
    assert cfg.custom_imports.imports == ['diffpose_mm']
    assert VISUALIZERS.get(cfg.visualizer.type) is not None
    # A metric that the base presumes is wrong for the first config with another evaluator.
    best = 'jhmdb/PCK' if 'jhmdb' in name else 'auto'
    assert cfg.default_hooks.checkpoint.save_best == best


def differences(a, b, path=''):
    """Paths at which two configs differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        found = []
        for key in sorted({*a, *b}):
            found += differences(a.get(key), b.get(key), f'{path}.{key}' if path else key)
        return found
    return [] if a == b else [path]


@pytest.mark.parametrize('year', [17, 21])
def test_benchmarks_differ_in_their_data_only(year):
    """One recipe for all three: a result would otherwise not be the data's."""
    other, base = (load(f'diffpose_posetrack{y}.py') for y in (year, 18))
    assert other.dataset_type == f'PoseTrack{year}ClipDataset'
    for loader in (other.train_dataloader, other.val_dataloader, other.test_dataloader):
        dataset = loader.dataset
        assert (dataset.type, dataset.data_root) == (other.dataset_type, other.data_root)
        assert str(year) in dataset.ann_file and str(year) in dataset.get('bbox_file', str(year))
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    fields = ('type', 'data_root', 'ann_file', 'bbox_file')
    allowed = {f'{loader}.dataset.{field}' for loader in loaders for field in fields}
    found = differences(other.to_dict(), base.to_dict())
    assert set(found) == {'data_root', 'dataset_type', *allowed} - {
        'train_dataloader.dataset.bbox_file'
    }


@pytest.mark.parametrize('data', ['posetrack18', 'synthetic'])
def test_baselines_differ_in_one_thing(data):
    """A comparison with a baseline means little if more than one thing differs."""
    diffpose, strl, heatmap = (
        load(f'{kind}_{data}.py').to_dict() for kind in ('diffpose', 'strl', 'heatmap')
    )
    head = differences(diffpose, strl)
    assert head and all(path.startswith(('model.head.', 'model.test_cfg.')) for path in head)
    assert diffpose['model']['head']['decoder'] == strl['model']['head']['decoder']

    clip = differences(strl, heatmap)
    assert sorted(clip) == [
        'frame_offsets',
        'model.neck.num_frames',
        'test_dataloader.dataset.frame_offsets',
        'train_dataloader.dataset.frame_offsets',
        'val_dataloader.dataset.frame_offsets',
    ]
    assert heatmap['frame_offsets'] == (0,)


@pytest.mark.parametrize('name', [name for name in CONFIGS if 'posetrack' in name])
def test_recipe_of_posetrack(name):
    """What the paper says (60 epochs, boxes + 25 %), and this project's choices beside it."""
    cfg = load(name)
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert cfg.train_cfg.max_epochs == 60
    assert cfg.param_scheduler[1].T_max == cfg.param_scheduler[1].end == 60
    assert steps['GetBBoxCenterScale'].padding == 1.25
    assert steps['RandomBBoxTransform'].scale_factor == (0.65, 1.35)
    assert steps['RandomBBoxTransform'].rotate_factor == 45
    assert steps['RandomHalfBody'].prob == 0.3
    assert cfg.test_dataloader.dataset.bbox_file.endswith('human_detections.json')
    assert cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size
    assert 'enable' not in cfg.auto_scale_lr
    size = (288, 384) if '384x288' in name else (192, 256)
    for pipeline in (cfg.train_dataloader.dataset.pipeline, cfg.test_dataloader.dataset.pipeline):
        affine = next(step for step in pipeline if step.type == 'TopdownAffine')
        assert affine.input_size == size == cfg.model.head.decoder.input_size
    assert steps['GenerateTarget'].encoder == cfg.model.head.decoder
    assert cfg.model.backbone.img_size == size[::-1]


def narrow_vit(name):
    """The model of a config for ViT at a width of 64, and the groups of its parameters by name."""
    cfg = load(name)
    cfg.model.backbone.init_cfg = None
    if cfg.model.backbone.type == 'ClipVisionTransformer':
        cfg.model.backbone.arch = dict(
            embed_dims=64, num_layers=12, num_heads=4, feedforward_channels=64
        )
        cfg.model.neck.in_channels = 64
    init_default_scope('mmpose')
    model = MODELS.build(cfg.model)
    optim_wrapper = build_optim_wrapper(model, deepcopy(cfg.optim_wrapper))
    groups, names = {}, {id(value): name for name, value in model.named_parameters()}
    for group in optim_wrapper.optimizer.param_groups:
        for i, parameter in enumerate(group['params']):
            name = names[id(parameter)]
            assert name not in groups, 'a parameter is in two groups'
            assert 'param_names' not in group or group['param_names'][i] == name
            if parameter.requires_grad:
                groups[name] = group
    return cfg, model, groups


@pytest.mark.parametrize(
    'name', [name for name in CONFIGS if 'synthetic' not in name and 'movenet' not in name]
)
def test_biases_norms_and_position_embeddings_do_not_decay(name):
    """As the config says. Broken if weight decay pulled what says where a token stands to zero."""
    cfg, model, groups = narrow_vit(name)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert set(groups) == trained
    embeddings = {'backbone.pos_embed', 'neck.position_embedding'} & set(groups)
    norms = {
        f'{module_name}.{param_name}'
        for module_name, module in model.named_modules()
        if isinstance(module, (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm))
        for param_name, _ in module.named_parameters(recurse=False)
    }
    biases = {param_name for param_name in groups if param_name.endswith('bias')}
    free = {param_name for param_name, group in groups.items() if group['weight_decay'] == 0}
    assert embeddings and embeddings < free and len(norms) > 10 and len(biases) > 20
    assert free == embeddings | norms | biases
    for param_name in set(groups) - free:
        assert groups[param_name]['weight_decay'] == cfg.optim_wrapper.optimizer.weight_decay


def test_layers_near_the_image_learn_slower():
    """Layer decay of a ViT: rates rise from patch embedding to the head, which has the full one."""
    cfg, model, groups = narrow_vit('diffpose_posetrack18.py')
    rates = {name: group['lr'] for name, group in groups.items()}
    full, decay = cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.paramwise_cfg.layer_decay_rate
    assert set(rates) == {name for name, _ in model.named_parameters()}
    for layer in range(12):
        rate = rates[f'backbone.layers.{layer}.attn.qkv.weight']
        assert rate == pytest.approx(full * decay ** (12 - layer))
    assert rates['backbone.patch_embed.projection.weight'] == pytest.approx(full * decay**13)
    for name, rate in rates.items():
        if not name.startswith('backbone'):
            assert rate == full, name
