"""The door: namings, wrappings, architecture, and what is refused."""

import json

import pytest
import torch
import weights_cases as cases

from diffpose_mm.weights import WeightsError, read_weights, require_vitpose, write_safetensors


def save(path, state, **others):
    torch.save({'state_dict': state, **others} if others else state, path)
    return path


def mmpose(tmp_path, **sizes):
    """A small classic ViTPose in mmpose's naming."""
    return dict(read_weights(save(tmp_path / 'hf.pth', cases.hugging_face(**sizes))).state_dict)


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_four_names_for_one_model(tmp_path):
    """Broken if a naming, or DataParallel's or torch.compile's prefix, were not understood."""
    plain = mmpose(tmp_path)
    own = {name: value for name, value in plain.items() if name.startswith('backbone.')}
    for naming, state, expected in (
        ('hugging face', cases.hugging_face(), plain),
        ('vitae', cases.vitae(), plain),
        ('mmpose', plain, plain),
        ('hugging face', strip(cases.hugging_face()), own),
        ('vitae', strip(cases.vitae()), own),
    ):
        for prefix in ('', 'module.', 'module._orig_mod.'):
            prefixed = {prefix + name: value for name, value in state.items()}
            weights = read_weights(save(tmp_path / 'x.pth', prefixed, meta={}))
            assert weights.naming == naming
            assert equal(weights.state_dict, expected)
            assert any('prefix' in note for note in weights.notes) == bool(prefix)


def strip(state):
    start = 'backbone.'
    return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}


def test_a_backbone_alone_of_mmpretrain_keeps_its_names(tmp_path):
    """Broken if `init_cfg` without a prefix got other names than before."""
    state = strip(mmpose(tmp_path))
    weights = read_weights(save(tmp_path / 'x.pth', state))
    assert weights.prefix == '' and equal(weights.state_dict, state)
    assert weights.architecture.embed_dims == cases.DIMS


def test_the_average_of_mmengine_is_what_it_calls_state_dict(tmp_path):
    """Broken if the sets were taken for each other: mmengine's EMAHook swaps them to save them."""
    from mmengine.hooks import EMAHook

    class Hook(EMAHook):
        def __init__(self, ema_model):
            self.ema_model = ema_model

    last = mmpose(tmp_path)
    average = {f'module.{k}': v + 1 if v.is_floating_point() else v for k, v in last.items()}
    average['steps'] = torch.tensor(4)
    model = torch.nn.Module()
    model.state_dict = lambda: dict(average)
    checkpoint = {'state_dict': dict(last)}
    Hook(model).before_save_checkpoint(None, checkpoint)
    path = tmp_path / 'x.pth'
    torch.save(checkpoint, path)
    name = 'backbone.ln1.bias'
    assert torch.equal(read_weights(path).state_dict[name], last[name] + 1)
    step = read_weights(path, average=False)
    assert equal(step.state_dict, last)
    torch.save({'ema_state_dict': dict(average)}, path)
    assert torch.equal(read_weights(path).state_dict[name], last[name] + 1)


def test_buffers_of_the_old_average_are_left_out(tmp_path):
    """Broken if mmcv 1.x's `ema_backbone_...` were weights that fit nowhere."""
    state = cases.vitae()
    old = {f'ema_{name.replace(".", "_")}': value for name, value in state.items()}
    weights = read_weights(save(tmp_path / 'x.pth', state | old))
    assert equal(weights.state_dict, mmpose(tmp_path))
    assert set(old) <= set(weights.unused)


def test_a_place_is_added_unless_a_class_token_has_it(tmp_path):
    """Broken if the first of 193 entries were dropped where a file was merely renamed."""
    grid = (4, 3)
    state = mmpose(tmp_path)
    place = cases.hugging_face()['backbone.embeddings.position_embeddings']
    state['backbone.pos_embed'] = place
    weights = read_weights(save(tmp_path / 'x.pth', state))
    assert torch.equal(weights.state_dict['backbone.pos_embed'], place[:, 1:] + place[:, :1])
    assert weights.architecture.grid == grid
    state['backbone.cls_token'] = torch.ones(1, 1, cases.DIMS)
    weights = read_weights(save(tmp_path / 'x.pth', state))
    assert torch.equal(weights.state_dict['backbone.pos_embed'], place)
    assert weights.architecture.class_token and weights.architecture.grid == grid
    with pytest.raises(WeightsError, match='uses a class token'):
        require_vitpose(weights)


def test_a_folded_place_is_taken_as_it_is(tmp_path):
    """Broken if a file whose place was folded before were folded twice, or refused."""
    state = cases.vitae()
    state['backbone.pos_embed'] = state['backbone.pos_embed'][:, 1:]
    weights = read_weights(save(tmp_path / 'x.pth', state))
    assert torch.equal(weights.state_dict['backbone.pos_embed'], state['backbone.pos_embed'])
    state['backbone.pos_embed'] = torch.zeros(1, 50 + 7, cases.DIMS)
    with pytest.raises(WeightsError, match='57 entries, which fits no grid'):
        read_weights(save(tmp_path / 'x.pth', state))


def test_experts_that_do_not_fit_or_are_not_there(tmp_path):
    """Broken if another expert's or half an expert's weights were taken in silence."""
    plus, plain = save(tmp_path / 'a', cases.vitae('plus')), save(tmp_path / 'b', cases.vitae())
    assert read_weights(plus).expert == 'coco'
    assert read_weights(f'{plus}#mpii').expert == 'mpii'
    assert read_weights(f'{plus}#mpii', 'aic').expert == 'aic'
    with pytest.raises(WeightsError, match='there is no expert cats; choose of coco, aic'):
        read_weights(f'{plus}#cats')
    for path in (plain, save(tmp_path / 'c', mmpose(tmp_path))):
        with pytest.raises(WeightsError, match='has no experts, so not the one of aic'):
            read_weights(path, 'aic')
    state = cases.vitae('plus')
    state['backbone.blocks.1.mlp.experts.1.weight'] = torch.ones(3, 4 * cases.DIMS)
    with pytest.raises(WeightsError, match='24 shared rows and 3 of the expert of aic'):
        read_weights(save(tmp_path / 'd', state), 'aic')


def test_a_split_file_with_left_over_experts(tmp_path):
    """Broken if what ViTAE's model_split.py leaves were folded a second time, or refused."""
    state = cases.vitae('plus')
    for i in range(cases.DEPTH):
        for kind in ('weight', 'bias'):
            mlp = f'backbone.blocks.{i}.mlp.'
            state[f'{mlp}fc2.{kind}'] = torch.cat(
                [state[f'{mlp}fc2.{kind}'], state[f'{mlp}experts.2.{kind}']]
            )
    weights = read_weights(save(tmp_path / 'mpii.pth', state))
    expected = read_weights(save(tmp_path / 'p.pth', cases.vitae('plus')), 'mpii').state_dict
    assert weights.expert is None
    for name in expected:
        if name.startswith('backbone.'):
            assert torch.equal(weights.state_dict[name], expected[name])


@pytest.mark.parametrize(
    'dims, depth, heads', [(384, 12, 12), (768, 12, 12), (1024, 24, 16), (1280, 32, 16)]
)
def test_heads_of_the_known_sizes(dims, depth, heads, tmp_path):
    """Broken if ViTPose-S were taken for deit-small, which has six heads and loads as well."""
    from diffpose_mm.weights.architecture import measure

    shapes = {
        'backbone.patch_embed.projection.weight': (dims, 3, 16, 16),
        'backbone.layers.0.ffn.layers.0.0.weight': (4 * dims, dims),
        'backbone.pos_embed': (1, 192, dims),
    } | {f'backbone.layers.{i}.ln1.weight': (dims,) for i in range(depth)}
    state = {name: torch.empty(shape, device='meta') for name, shape in shapes.items()}
    found = measure(state)
    assert (found.num_heads, found.heads_from) == (heads, 'the known sizes')
    assert found.input_size == (192, 256) and found.name.startswith('ViTPose-')
    assert measure(state, known_sizes=False).num_heads is None
    said = measure(state, heads=heads // 2, heads_from='config.json')
    assert said.num_heads == heads // 2 and not said.name.startswith('ViTPose-')


@pytest.mark.parametrize(
    'text, heads',
    [
        ("model = dict(backbone=dict(type='V', arch='deit-small'))", 6),
        ("model = dict(backbone=dict(arch='b'), head=dict(num_heads=3))", 12),
        ('model = dict(backbone=dict(arch=dict(embed_dims=384, num_heads=12)))', 12),
        ("model = {'backbone': {'arch': {'num_heads': 4}}}", 4),
        ("model = dict(backbone=dict(type='HRNet'))", None),
        ('model = (', None),
        ('__import__("os").abort()', None),
    ],
)
def test_heads_in_the_config_that_a_checkpoint_carries(text, heads, tmp_path):
    """Broken if a checkpoint trained with other heads were taken for the usual ones, or run."""
    state = mmpose(tmp_path)
    weights = read_weights(save(tmp_path / 'x.pth', state, meta={'cfg': text}))
    assert weights.architecture.num_heads == heads


def folder(tmp_path, config, state=None):
    path = tmp_path / 'model'
    path.mkdir(exist_ok=True)
    (path / 'config.json').write_text(json.dumps(config))
    (path / 'README.md').write_text('---\nlibrary_name: x\nlicense: apache-2.0\n---\n# Text\n')
    with open(path / 'model.safetensors', 'wb') as file:
        write_safetensors(file, state or cases.hugging_face())
    return path


def test_what_the_config_beside_says(tmp_path):
    """Broken if heads, size or licence that came with the weights were not looked at."""
    weights = read_weights(folder(tmp_path, cases.config(heads=8)))
    assert weights.architecture.num_heads == 8
    assert weights.architecture.heads_from == 'config.json'
    assert weights.licence == 'apache-2.0'
    assert weights.meta['config']['model_type'] == 'vitpose'
    for change, said in (
        (dict(dims=64), 'hidden_size 64, the weights have 32'),
        (dict(depth=5), 'num_hidden_layers 5, the weights have 2'),
        (dict(heads=5), '5 heads do not divide 32'),
        (dict(size=(128, 128)), '13 entries, which fits 64 patches'),
    ):
        with pytest.raises(WeightsError, match=said):
            read_weights(folder(tmp_path, cases.config(**change)))


def test_an_incomplete_model_is_refused(tmp_path):
    """Broken if a layer, norm or head that is missing stayed random."""
    for name in cases.hugging_face():
        if name.endswith('num_batches_tracked'):
            continue
        state = cases.hugging_face()
        state.pop(name)
        if 'embeddings' in name and not name.endswith('bias'):
            continue  # no longer the naming, see the next test
        with pytest.raises(WeightsError, match=r'incomplete|is missing|lacks'):
            weights = read_weights(save(tmp_path / 'x.pth', state))
            require_vitpose(weights, head=True)


OTHERS = {
    'HRNet': ['stage4.0.fuse_layers.0.1.0.weight', 'transition1.0.0.weight', 'conv1.weight'],
    'ResNet': ['layer1.0.conv1.weight', 'layer4.0.conv1.weight', 'fc.weight'],
    'Swin Transformer': ['layers.0.blocks.0.attn.relative_position_bias_table'],
    'MAE': ['cls_token', 'pos_embed', 'patch_embed.proj.weight', 'blocks.0.attn.qkv.weight'],
    "Hugging Face's ViT": [
        'embeddings.cls_token',
        'embeddings.position_embeddings',
        'encoder.layer.0.attention.attention.query.weight',
    ],
    'has other names, as a': ['a', 'b'],
}


@pytest.mark.parametrize('family', OTHERS)
@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_other_architectures(family, prefix, tmp_path):
    """Broken if another net's weights were taken for ViTPose, or the refusal did not say which."""
    state = {prefix + name: torch.zeros(2) for name in OTHERS[family]}
    weights = read_weights(save(tmp_path / 'x.pth', state))
    assert equal(weights.state_dict, state)
    said = family if 'names' not in family else 'has other names, as'
    with pytest.raises(WeightsError, match=f'x.pth is no ViTPose: it .*{said}'):
        require_vitpose(weights)


def test_a_language_model_is_refused(tmp_path):
    """Broken if gigabytes of another field were compared name by name."""
    state = {'model.embed_tokens.weight': torch.zeros(3, 2), 'lm_head.weight': torch.zeros(3, 2)}
    with pytest.raises(WeightsError, match='is a language model'):
        read_weights(save(tmp_path / 'x.pth', state))
    config = dict(model_type='llama', architectures=['LlamaForCausalLM'])
    with pytest.raises(WeightsError, match=r'is LlamaForCausalLM \(llama\), not ViTPose'):
        read_weights(folder(tmp_path, config, state))


@pytest.mark.parametrize(
    'value, said',
    [
        ([1, 2], 'holds list, not weights'),
        (torch.ones(2), 'holds Tensor, not weights'),
        ({}, 'holds nothing'),
        ({'epoch': 3}, 'keys are epoch'),
    ],
)
def test_what_holds_no_weights(value, said, tmp_path):
    """Broken if an empty or other file were a traceback."""
    torch.save(value, tmp_path / 'x.pth')
    with pytest.raises(WeightsError, match=said):
        read_weights(tmp_path / 'x.pth')


def test_half_precision_is_made_whole(tmp_path):
    """Broken if sums of half precision made the folded place inexact."""
    state = {k: v.half() if v.is_floating_point() else v for k, v in cases.hugging_face().items()}
    weights = read_weights(save(tmp_path / 'x.pth', state))
    place = state['backbone.embeddings.position_embeddings'].float()
    assert torch.equal(weights.state_dict['backbone.pos_embed'], place[:, 1:] + place[:, :1])
    assert any('float16 was made float32' in note for note in weights.notes)


@pytest.mark.parametrize(
    'names',
    [
        ('backbone.body.conv1.weight', 'rpn.head.conv.0.weight', 'roi_heads.box_head.fc6.weight'),
        ('backbone.body.conv1.weight', 'head.classification_head.cls_logits.weight',
         'head.regression_head.bbox_reg.weight'),
    ],
)  # fmt: skip
def test_detectors_of_torchvision_are_no_models_of_mmpose(tmp_path, names):
    """Broken if a detector, whose names begin as mmpose's do, were converted without a word."""
    path = save(tmp_path / 'x.pth', {name: torch.ones(2) for name in names})
    weights = read_weights(path)
    assert weights.naming == 'other' and weights.family == 'a detector of torchvision'
    with pytest.raises(WeightsError, match='looks like a detector of torchvision'):
        require_vitpose(weights)
