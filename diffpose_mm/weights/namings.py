"""The three namings of ViTPose's weights: which one names are of, and each turned into mmpose 1.x.

Names (N a layer, E an expert):

=========================================  ==============================  =========================
Hugging Face, VitPoseForPoseEstimation     mmpose 1.x, mmpretrain's ViT    ViTAE's original
=========================================  ==============================  =========================
embeddings.patch_embeddings.projection     patch_embed.projection          patch_embed.proj
embeddings.position_embeddings (1, 1+P, C) pos_embed (1, P, C)             pos_embed (1, 1+P, C)
encoder.layer.N.layernorm_before, _after   layers.N.ln1, ln2               blocks.N.norm1, norm2
...attention.attention.{query,key,value}   layers.N.attn.qkv (stacked)     blocks.N.attn.qkv
...attention.output.dense                  layers.N.attn.proj              blocks.N.attn.proj
...mlp.fc1, mlp.fc2                        layers.N.ffn.layers.0.0, .1     blocks.N.mlp.fc1, .fc2
...mlp.experts.E                           the last rows of ffn.layers.1   blocks.N.mlp.experts.E
layernorm                                  ln1                             last_norm
head.deconv1, batchnorm1, ..2, conv        head.deconv_layers.0, .1, .3    keypoint_head.deconv_...
=========================================  ==============================  =========================

The backbone's names begin with ``backbone.``, or, in a file of a backbone alone, do not.
"""

import re
from collections.abc import Iterable, Mapping

import torch

from .errors import WeightsError
from .families import TORCHVISION_DETECTOR, family_of

HUGGING_FACE, VITAE, MMPOSE, OTHER = 'hugging face', 'vitae', 'mmpose', 'other'

_HEAD = (
    ('deconv1', 'deconv_layers.0'),
    ('batchnorm1', 'deconv_layers.1'),
    ('deconv2', 'deconv_layers.3'),
    ('batchnorm2', 'deconv_layers.4'),
    ('conv', 'final_layer'),
)
_HF_LAYER = (
    ('layernorm_before', 'ln1'),
    ('layernorm_after', 'ln2'),
    ('attention.output.dense', 'attn.proj'),
    ('mlp.fc1', 'ffn.layers.0.0'),
    ('mlp.fc2', 'ffn.layers.1'),
)
_VITAE_LAYER = (
    ('norm1', 'ln1'),
    ('norm2', 'ln2'),
    ('attn.qkv', 'attn.qkv'),
    ('attn.proj', 'attn.proj'),
    ('mlp.fc1', 'ffn.layers.0.0'),
    ('mlp.fc2', 'ffn.layers.1'),
)
_HF_ONE = (
    ('embeddings.patch_embeddings.projection', 'patch_embed.projection'),
    ('layernorm', 'ln1'),
)
_VITAE_ONE = (('patch_embed.proj', 'patch_embed.projection'), ('last_norm', 'ln1'))
_PARTS = ('query', 'key', 'value')
_PARAMETER = re.compile(
    r'(?P<module>.+)\.(?P<kind>weight|bias|running_mean|running_var|num_batches_tracked)'
)
_SIGNS = (
    (HUGGING_FACE, 'embeddings.position_embeddings', 'encoder.layer.0.attention.attention.query.'),
    (VITAE, 'patch_embed.proj.weight', 'blocks.0.attn.qkv.'),
    (MMPOSE, 'patch_embed.projection.weight', 'layers.0.ffn.layers.0.0.'),
)


def naming_of(names: Iterable[str]) -> tuple[str, str]:
    """The naming that names are of, and the prefix of the backbone in it.

    A vision transformer of another kind (Hugging Face's ViT, MAE, timm) has a class token that it
    uses or a final norm of another name, and is ``OTHER``.

    Args:
        names: Of all weights.

    Returns:
        ``HUGGING_FACE``, ``VITAE``, ``MMPOSE`` (models of mmpose 1.x and mmpretrain of whatever
        architecture, and ours) or ``OTHER``; 'backbone.' or ''.
    """
    names = set(names)
    for prefix in ('backbone.', ''):
        for naming, one, start in _SIGNS:
            if prefix + one in names and any(name.startswith(prefix + start) for name in names):
                if naming == HUGGING_FACE and f'{prefix}embeddings.cls_token' in names:
                    return OTHER, prefix
                if naming == VITAE and f'{prefix}last_norm.weight' not in names:
                    return OTHER, prefix
                return naming, prefix
    if family_of(names) == TORCHVISION_DETECTOR:
        return OTHER, ''
    if any(name.startswith(('backbone.', 'neck.', 'head.')) for name in names) and not any(
        name.startswith(('backbone.encoder.', 'backbone.embeddings.')) for name in names
    ):
        return MMPOSE, 'backbone.'
    return OTHER, ''


def hugging_face_to_mmpose(
    state: Mapping[str, torch.Tensor], prefix: str
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Hugging Face's names to mmpose's; experts have been folded.

    The position embedding keeps its form here, see :mod:`folding`.

    Args:
        state: Tensors by name.
        prefix: Of the backbone's names; in the result it is 'backbone.'.

    Returns:
        The renamed tensors, and the names that no part of ViTPose has.

    Raises:
        WeightsError: A layer has a query and no key or value.
    """
    renamed, unused = {}, []
    for name, value in state.items():
        found = _PARAMETER.fullmatch(name)
        if name == f'{prefix}embeddings.position_embeddings':
            renamed['backbone.pos_embed'] = value
            continue
        module, kind = (found['module'], found['kind']) if found else (name, '')
        attention = re.fullmatch(
            re.escape(prefix) + r'encoder\.layer\.(\d+)\.attention\.attention\.(\w+)', module
        )
        if attention and attention[2] in _PARTS:
            if attention[2] == 'query':
                renamed[f'backbone.layers.{attention[1]}.attn.qkv.{kind}'] = _stack(state, name)
            continue
        new = _renamed(module, prefix, 'encoder.layer', _HF_ONE, _HF_LAYER, 'head', _HEAD)
        if new and kind:
            renamed[f'{new}.{kind}'] = value
        else:
            unused.append(name)
    return renamed, unused


def vitae_to_mmpose(
    state: Mapping[str, torch.Tensor], prefix: str
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """ViTAE's names to mmpose's; experts have been folded.

    Args and result are those of :func:`hugging_face_to_mmpose`. What no forward pass of ViTAE's
    reads (``cls_token``) is among the unused names.
    """
    renamed, unused = {}, []
    for name, value in state.items():
        found = _PARAMETER.fullmatch(name)
        if name == f'{prefix}pos_embed':
            renamed['backbone.pos_embed'] = value
        elif name.startswith('keypoint_head.'):
            renamed[name.replace('keypoint_', '', 1)] = value
        else:
            module, kind = (found['module'], found['kind']) if found else (name, '')
            new = _renamed(module, prefix, 'blocks', _VITAE_ONE, _VITAE_LAYER, '', ())
            if new and kind:
                renamed[f'{new}.{kind}'] = value
            else:
                unused.append(name)
    return renamed, unused


def mmpose_to_hugging_face(
    state: Mapping[str, torch.Tensor], prefix: str = 'backbone.'
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """mmpose's names to Hugging Face's, for a model of one expert.

    The position embedding gets a first entry of zeros.

    Args:
        state: A plain ViTPose without class token.
        prefix: Of the backbone's names.

    Returns:
        The renamed tensors, and the names that Hugging Face's model has no place for.
    """
    ones = {new: old for old, new in _HF_ONE}
    layers = {new: old for old, new in _HF_LAYER}
    heads = {new: old for old, new in _HEAD}
    renamed, unused = {}, []
    for name, value in state.items():
        found = _PARAMETER.fullmatch(name)
        if name == f'{prefix}pos_embed':
            zeros = torch.zeros_like(value[:, :1])
            renamed['backbone.embeddings.position_embeddings'] = torch.cat([zeros, value], 1)
            continue
        module, kind = (found['module'], found['kind']) if found else (name, '')
        layer = re.fullmatch(re.escape(prefix) + r'layers\.(\d+)\.(.+)', module)
        own = module.removeprefix(prefix) if module.startswith(prefix) else None
        if layer and layer[2] == 'attn.qkv':
            place = f'backbone.encoder.layer.{layer[1]}.attention.attention'
            for part, rows in zip(_PARTS, value.chunk(3)):
                renamed[f'{place}.{part}.{kind}'] = rows.clone()
        elif layer and layer[2] in layers:
            renamed[f'backbone.encoder.layer.{layer[1]}.{layers[layer[2]]}.{kind}'] = value
        elif own in ones:
            renamed[f'backbone.{ones[own]}.{kind}'] = value
        elif module.removeprefix('head.') in heads and module.startswith('head.'):
            renamed[f'head.{heads[module.removeprefix("head.")]}.{kind}'] = value
        else:
            unused.append(name)
    return renamed, unused


def _stack(state: Mapping[str, torch.Tensor], query: str) -> torch.Tensor:
    names = [query.replace('.query.', f'.{part}.') for part in _PARTS]
    missing = [name for name in names if name not in state]
    if missing:
        raise WeightsError(f'{missing[0]} is missing beside {query}: the weights are incomplete')
    return torch.cat([state[name] for name in names])


def _renamed(
    module: str,
    prefix: str,
    layers: str,
    ones: Iterable[tuple[str, str]],
    parts: Iterable[tuple[str, str]],
    head: str,
    heads: Iterable[tuple[str, str]],
) -> str | None:
    """A module's name in mmpose, None if ViTPose has no such module."""
    if head and module.startswith(f'{head}.'):
        new = dict(heads).get(module.removeprefix(f'{head}.'))
        return f'head.{new}' if new else None
    if not module.startswith(prefix):
        return None
    own = module.removeprefix(prefix)
    new = dict(ones).get(own)
    if new:
        return f'backbone.{new}'
    layer = re.fullmatch(re.escape(layers) + r'\.(\d+)\.(.+)', own)
    new = dict(parts).get(layer[2]) if layer else None
    return f'backbone.layers.{layer[1]}.{new}' if layer and new else None
