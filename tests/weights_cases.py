"""Small ViTPose models in every naming, and what they compute by the formulas of the papers.

Weights are drawn by name, so that a script which records what a library computes of them, and a
test which compares with the record, have the same without a file of weights.
"""

import zlib

import numpy as np
import torch
import torch.nn.functional as F

DIMS, DEPTH, HEADS, SIZE, PART = 32, 2, 4, (64, 48), 8
EXPERTS = ('coco', 'aic', 'mpii', 'ap10k', 'apt36k', 'wholebody')
# (simple head, experts)
KINDS = {'classic': (False, 1), 'simple': (True, 1), 'plus': (False, 6)}


def draw(name, shape):
    """Values of a weight: norms near one, positive variances, all else so that nothing vanishes."""
    draws = np.random.RandomState(zlib.crc32(name.encode()))
    values = draws.standard_normal(shape).astype(np.float32)
    if 'running_var' in name:
        values = 0.5 + np.abs(values)
    elif len(shape) == 1:
        values *= 0.1
        if name.endswith('weight'):
            values += 1
    elif 'position' in name or 'pos_embed' in name:
        values *= 0.5
    else:
        values *= 1.5 / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(values))


def backbone_shapes(dims=DIMS, depth=DEPTH, size=SIZE, experts=1, part=PART):
    """Name -> shape of Hugging Face's backbone."""
    patches = size[0] // 16 * (size[1] // 16)
    shapes = {
        'backbone.embeddings.position_embeddings': (1, patches + 1, dims),
        'backbone.embeddings.patch_embeddings.projection.weight': (dims, 3, 16, 16),
        'backbone.embeddings.patch_embeddings.projection.bias': (dims,),
    }
    for i in range(depth):
        layer = f'backbone.encoder.layer.{i}.'
        linear = {f'attention.attention.{part}': (dims, dims) for part in ('query', 'key', 'value')}
        linear |= {'attention.output.dense': (dims, dims), 'mlp.fc1': (4 * dims, dims)}
        linear['mlp.fc2'] = (dims - part if experts > 1 else dims, 4 * dims)
        if experts > 1:
            linear |= {f'mlp.experts.{e}': (part, 4 * dims) for e in range(experts)}
        for name, shape in linear.items():
            shapes[f'{layer}{name}.weight'], shapes[f'{layer}{name}.bias'] = shape, shape[:1]
        for norm in ('layernorm_before', 'layernorm_after'):
            shapes[f'{layer}{norm}.weight'] = shapes[f'{layer}{norm}.bias'] = (dims,)
    shapes['backbone.layernorm.weight'] = shapes['backbone.layernorm.bias'] = (dims,)
    return shapes


def head_shapes(dims=DIMS, simple=False, keypoints=17):
    """Name -> shape of Hugging Face's head."""
    if simple:
        return {'head.conv.weight': (keypoints, dims, 3, 3), 'head.conv.bias': (keypoints,)}
    shapes = {'head.conv.weight': (keypoints, 256, 1, 1), 'head.conv.bias': (keypoints,)}
    for i, channels in ((1, dims), (2, 256)):
        shapes[f'head.deconv{i}.weight'] = (channels, 256, 4, 4)
        for kind in ('weight', 'bias', 'running_mean', 'running_var'):
            shapes[f'head.batchnorm{i}.{kind}'] = (256,)
    return shapes


def hugging_face(kind='classic', **sizes):
    """Weights of a small model, by Hugging Face's names."""
    simple, experts = KINDS[kind]
    shapes = backbone_shapes(experts=experts, **sizes)
    shapes |= head_shapes(sizes.get('dims', DIMS), simple)
    state = {name: draw(name, shape) for name, shape in shapes.items()}
    for i in () if simple else (1, 2):
        state[f'head.batchnorm{i}.num_batches_tracked'] = torch.tensor(7)
    return state


def vitae(kind='classic', heads=6, **sizes):
    """The same weights by ViTAE's names; of ViTPose++ with a head of its own for each data set."""
    source, state = hugging_face(kind, **sizes), {}
    names = (
        ('encoder.layer.', 'blocks.'),
        ('embeddings.position_embeddings', 'pos_embed'),
        ('embeddings.patch_embeddings.projection', 'patch_embed.proj'),
        ('layernorm_before', 'norm1'),
        ('layernorm_after', 'norm2'),
        ('attention.output.dense', 'attn.proj'),
        ('backbone.layernorm', 'backbone.last_norm'),
        ('head.deconv1', 'keypoint_head.deconv_layers.0'),
        ('head.batchnorm1', 'keypoint_head.deconv_layers.1'),
        ('head.deconv2', 'keypoint_head.deconv_layers.3'),
        ('head.batchnorm2', 'keypoint_head.deconv_layers.4'),
        ('head.conv', 'keypoint_head.final_layer'),
    )
    for name, value in source.items():
        if '.attention.attention.' in name:
            if '.query.' in name:
                parts = [name.replace('query', part) for part in ('query', 'key', 'value')]
                value = torch.cat([source[part] for part in parts])
                name = name.replace('attention.attention.query', 'attn.qkv')
            else:
                continue
        for old, new in names:
            name = name.replace(old, new)
        state[name] = value
    state['backbone.cls_token'] = torch.full((1, 1, state['backbone.pos_embed'].shape[2]), 9.0)
    if kind == 'plus':
        for i in range(heads - 1):
            start = f'associate_keypoint_heads.{i}.'
            own = {name for name in state if name.startswith('keypoint_head.')}
            for name in own:
                new = name.replace('keypoint_head.', start)
                state[new] = state[name] * (0.9 - i / 10) if 'final_layer' in name else state[name]
    return state


def pixels(size=SIZE, count=2):
    """Normalised pictures, (count, 3, height, width)."""
    return draw('pixels', (count * 3 * size[0] * size[1], 1)).view(count, 3, *size) * 100


def forward(state, heads=HEADS, expert=0, head=None):
    """Features and heatmaps of Hugging Face's names, step by step.

    ViT as in Dosovitskiy et al. (ICLR 2021, eq. 1 to 4) without class token, with ViTPose's padded
    patches and added first place (Xu et al., NeurIPS 2022), MoE as in ViTPose++ (Xu et al., 2023),
    heads as in ViTPose's section 3.1. In float64.
    """
    w = {name: value.double() for name, value in state.items()}
    emb, images = 'backbone.embeddings.', pixels(SIZE).double()
    projection = f'{emb}patch_embeddings.projection.'
    grid = F.conv2d(images, w[projection + 'weight'], w[projection + 'bias'], 16, 2)
    tokens = grid.flatten(2).transpose(1, 2)
    place = w[f'{emb}position_embeddings']
    tokens = tokens + place[:, 1:] + place[:, :1]
    dims = tokens.shape[2]
    depth = len([name for name in w if name.endswith('layernorm_before.weight')])

    def linear(x, name):
        return x @ w[f'{name}.weight'].T + w[f'{name}.bias']

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-6)
        return scaled * w[f'{name}.weight'] + w[f'{name}.bias']

    for i in range(depth):
        layer = f'backbone.encoder.layer.{i}.'
        x = norm(tokens, layer + 'layernorm_before')
        outputs = []
        for h in range(heads):
            own = slice(h * dims // heads, (h + 1) * dims // heads)
            q, k, v = (
                linear(x, f'{layer}attention.attention.{part}')[..., own]
                for part in ('query', 'key', 'value')
            )
            scores = q @ k.transpose(1, 2) / (dims // heads) ** 0.5
            outputs.append(scores.softmax(-1) @ v)
        tokens = tokens + linear(torch.cat(outputs, -1), layer + 'attention.output.dense')
        x = norm(tokens, layer + 'layernorm_after')
        x = linear(x, layer + 'mlp.fc1')
        x = 0.5 * x * (1 + torch.erf(x / 2**0.5))
        shared = linear(x, layer + 'mlp.fc2')
        if f'{layer}mlp.experts.0.weight' in w:
            shared = torch.cat([shared, linear(x, f'{layer}mlp.experts.{expert}')], -1)
        tokens = tokens + shared
    tokens = norm(tokens, 'backbone.layernorm')
    features = tokens.transpose(1, 2).reshape(grid.shape)
    return features, _heatmaps(features, w if head is None else head)


def _heatmaps(x, w):
    weight, bias = w['head.conv.weight'].double(), w['head.conv.bias'].double()
    if 'head.deconv1.weight' not in w:
        x = F.interpolate(x.relu(), scale_factor=4, mode='bilinear', align_corners=False)
        return F.conv2d(x, weight, bias, padding=1)
    for i in (1, 2):
        x = F.conv_transpose2d(x, w[f'head.deconv{i}.weight'].double(), stride=2, padding=1)
        norm = {
            kind: w[f'head.batchnorm{i}.{kind}'].double().view(-1, 1, 1)
            for kind in ('weight', 'bias', 'running_mean', 'running_var')
        }
        x = (x - norm['running_mean']) / torch.sqrt(norm['running_var'] + 1e-5)
        x = (x * norm['weight'] + norm['bias']).relu()
    return F.conv2d(x, weight, bias)


def config(kind='classic', size=SIZE, dims=DIMS, depth=DEPTH, heads=HEADS):
    """The ``config.json`` of :func:`hugging_face`."""
    simple, experts = KINDS[kind]
    backbone = dict(
        model_type='vitpose_backbone',
        image_size=list(size),
        hidden_size=dims,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        num_experts=experts,
        part_features=PART,
        out_indices=[depth],
    )
    return dict(
        model_type='vitpose',
        architectures=['VitPoseForPoseEstimation'],
        backbone_config=backbone,
        use_simple_decoder=simple,
        id2label={str(i): f'k{i}' for i in range(17)},
    )
