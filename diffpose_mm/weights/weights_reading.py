"""The door of this room: weights of any usual form, read as mmpose 1.x names them."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .architecture import Architecture, grid_of, heads_in_config_text, measure
from .errors import WeightsError
from .families import VITPOSE_TYPES, check_config, family_of
from .file_reading import Content, read_content
from .folding import Folded, check_expert, fold_experts, fold_position
from .namings import (
    HUGGING_FACE,
    MMPOSE,
    OTHER,
    hugging_face_to_mmpose,
    naming_of,
    vitae_to_mmpose,
)
from .sources import CONFIG, Found, find, sha256, split_expert
from .wrappings import Unwrapped, unwrap
from .zoo import digits_in


@dataclass(frozen=True)
class Weights:
    """Weights, and what is known of them.

    Attributes:
        state_dict: Tensors by name, on the CPU. ViTPose of every naming has mmpose 1.x's names
            (``backbone.layers.0.ln1.weight``, ``head.final_layer.weight``) and is a plain
            transformer: experts and the place of the class token are folded in. All others have
            the names that they came with.
        meta: What the file says of itself: mmengine's ``meta``, safetensors' metadata (JSON read),
            and under ``'config'`` the ``config.json`` beside it.
        origin: Where they came from, for messages.
        naming: The naming that they came in: 'hugging face', 'vitae', 'mmpose' (also mmpretrain's
            and ours, of whatever architecture) or 'other'.
        architecture: Of a vision transformer whose names were understood; None otherwise.
        notes: What was done with them and chosen for them, a sentence each.
        unused: Names in the file that are not in ``state_dict``.
        experts: Experts of ViTPose++ that the file holds.
        expert: The one that is folded in, where the file is a ViTPose++.
        prefix: Of the backbone's names in ``state_dict``: 'backbone.', or '' for a file of a
            backbone alone in mmpose's or mmpretrain's naming.
        path: The file that was read, or the index of its shards.
        form: 'safetensors' or 'torch'.
        family: What other model it seems to be ('HRNet', 'a language model', ...); None for ViTPose
            and for what is not known.
        licence: What the model's card beside the file, or its metadata, says; None if nothing does.
    """

    state_dict: dict[str, torch.Tensor]
    meta: dict[str, Any]
    origin: str
    naming: str
    architecture: Architecture | None
    notes: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    experts: tuple[str, ...] = ()
    expert: str | None = None
    prefix: str = 'backbone.'
    path: Path = field(default_factory=Path)
    form: str = 'torch'
    family: str | None = None
    licence: str | None = None


def read_weights(
    source: str | os.PathLike, expert: str | None = None, average: bool = True
) -> Weights:
    """Read weights from wherever they are, in whatever usual form.

    Args:
        source: A file (safetensors, ``torch.save``, the index of shards; told by content) or a
            folder with one; ``hf:OWNER/NAME[/FILE][@REVISION]``; an ``https://`` address, with the
            hub as second place of MMPose's zoo. ``#EXPERT`` may follow, as in
            ``hf:usyd-community/vitpose-plus-base#ap10k``.
        expert: Of ViTPose++: 'coco' (the default), 'aic', 'mpii', 'ap10k', 'apt36k' or
            'wholebody'. Comes before the one in ``source``.
        average: Of an mmengine checkpoint with a moving average, take it; False takes the weights
            of the last step.

    Raises:
        UnavailableWeightsError: They are elsewhere and cannot be had.
        WeightsError: They cannot be read, are cut or refused, are those of a language model,
            or are a ViTPose that is incomplete or has no such expert. Other architectures are no
            error here, see :func:`require_vitpose`.
    """
    source, named = split_expert(os.fspath(source))
    expert = expert or named
    check_expert(expert, source)
    found = find(source)
    return assemble(read_content(found.path), found, expert, average)


def assemble(
    content: Content, found: Found, expert: str | None = None, average: bool = True
) -> Weights:
    """:func:`read_weights` from what a file held.

    Args:
        content: What was read.
        found: Where.
        expert: See :func:`read_weights`.
        average: See :func:`read_weights`.

    Raises:
        WeightsError: See :func:`read_weights`.
    """
    unwrapped = unwrap_content(content, found, average)
    state, meta = unwrapped.state, unwrapped.meta
    notes = [*found.notes, *unwrapped.notes, *_digits_note(found.path)]
    naming, prefix = naming_of(state)
    if naming == OTHER:
        check_config(found.config, found.origin)
    family = family_of(state)
    if naming == OTHER and family == 'a language model':
        raise WeightsError(f'{found.origin} is a language model, not one of poses')
    folded, unused = Folded(state), list(unwrapped.unused)
    size, heads, heads_from = _said(found.config, meta)
    if naming in (OTHER, MMPOSE):
        if expert not in (None, 'coco'):
            raise WeightsError(
                f'{found.origin} has no experts, so not the one of {expert}: it is no ViTPose++'
            )
    else:
        folded = fold_experts(state, naming, expert, found.origin)
        rename = hugging_face_to_mmpose if naming == HUGGING_FACE else vitae_to_mmpose
        state, left = rename(folded.state, prefix)
        unused += [*folded.unused, *left]
        state = _as_float32(state, notes)
        prefix = 'backbone.'
        _check_parts(state, found.origin)
        patch = state['backbone.patch_embed.projection.weight'].shape[-1]
        position, note = fold_position(state['backbone.pos_embed'], size, patch, found.origin)
        state['backbone.pos_embed'] = position
        notes += [*folded.notes, note]
    if naming == MMPOSE and f'{prefix}pos_embed' in state and f'{prefix}cls_token' not in state:
        notes += _drop_class_place(state, prefix)
    architecture = None if naming == OTHER else measure(state, prefix, heads, heads_from, size)
    if naming not in (OTHER, MMPOSE):
        _check_config_fits(found.config, architecture, found.origin)
    return Weights(
        state_dict=state,
        meta=meta | ({'config': found.config} if found.config else {}),
        origin=found.origin,
        naming=naming,
        architecture=architecture,
        notes=tuple(notes),
        unused=tuple(sorted(unused)),
        experts=folded.experts,
        expert=folded.expert,
        prefix=prefix,
        path=found.path,
        form=content.form,
        family=None if architecture else family,
        licence=_licence(found.path.parent, meta),
    )


def require_vitpose(weights: Weights, head: bool = False) -> Architecture:
    """The architecture of weights that have to be a ViTPose's.

    Args:
        weights: See :func:`read_weights`.
        head: Whether a classic or simple head has to be among them.

    Raises:
        WeightsError: They are of something else; the message says what, where it is known.
    """
    if weights.architecture is None:
        what = f'looks like {weights.family}' if weights.family else 'has other names, as '
        if not weights.family:
            what += ', '.join(sorted(weights.state_dict)[:3])
        raise WeightsError(f'{weights.origin} is no ViTPose: it {what}')
    if weights.architecture.class_token:
        raise WeightsError(
            f'{weights.origin} is no ViTPose: it is a vision transformer that uses a class token'
        )
    if head and weights.architecture.head is None:
        raise WeightsError(f'{weights.origin} has no head of ViTPose (classic or simple)')
    return weights.architecture


def unwrap_content(content: Content, found: Found, average: bool) -> Unwrapped:
    """Weights without their wrappings, with what the file says of itself."""
    unwrapped = unwrap(content.value, found.origin, average)
    for key, text in content.metadata.items():
        try:
            unwrapped.meta[key] = json.loads(text)
        except ValueError:
            unwrapped.meta[key] = text
    return unwrapped


def _licence(folder: Path, meta: Mapping[str, Any]) -> str | None:
    """The licence in the metadata, or in the head of a model card (``README.md``) of the hub."""
    if isinstance(meta.get('licence'), str):
        return meta['licence']
    try:
        text = (folder / 'README.md').read_text(encoding='utf-8')[:20_000]
    except (OSError, UnicodeDecodeError):
        return None
    found = re.match(r'---\n(.*?)\n---', text, re.DOTALL)
    said = re.search(r'^license: *[\'"]?([\w.-]+)', found[1], re.MULTILINE) if found else None
    return said[1] if said else None


def _said(
    config: Mapping[str, Any], meta: Mapping[str, Any]
) -> tuple[tuple[int, int] | None, int | None, str]:
    """(height, width) of the input, heads, and what says so, where something does."""
    if config.get('model_type') in VITPOSE_TYPES:
        backbone = config.get('backbone_config') or config
        # Defaults of VitPoseBackboneConfig, which a config.json may leave out.
        size = backbone.get('image_size') or (256, 192)
        size = (size, size) if isinstance(size, int) else tuple(size)
        return size, int(backbone.get('num_attention_heads') or 12), CONFIG
    if isinstance(meta.get('num_heads'), int):
        return None, meta['num_heads'], 'the metadata in the file'
    heads = heads_in_config_text(meta.get('cfg'))
    return None, heads, 'the config in the file' if heads else ''


def _as_float32(state: dict[str, torch.Tensor], notes: list[str]) -> dict[str, torch.Tensor]:
    kinds = {value.dtype for value in state.values() if value.is_floating_point()}
    if kinds - {torch.float32}:
        notes.append(f'{", ".join(sorted(str(k)[6:] for k in kinds))} was made float32')
    return {
        name: value.float() if value.is_floating_point() else value for name, value in state.items()
    }


def _check_parts(state: Mapping[str, torch.Tensor], origin: str) -> None:
    """Raise unless what every ViTPose has is there.

    Raises:
        WeightsError: With what is missing.
    """
    layers = {name.split('.')[2] for name in state if name.startswith('backbone.layers.')}
    parts = ('ln1', 'attn.qkv', 'attn.proj', 'ln2', 'ffn.layers.0.0', 'ffn.layers.1')
    modules = ['patch_embed.projection', 'ln1']
    modules += [f'layers.{i}.{part}' for i in range(len(layers)) for part in parts]
    names = [f'backbone.{module}.{kind}' for module in modules for kind in ('weight', 'bias')]
    missing = [name for name in ['backbone.pos_embed', *names] if name not in state]
    if any(name.startswith('head.') for name in state):
        heads = ['head.final_layer.weight', 'head.final_layer.bias']
        if any(name.startswith('head.deconv_layers.') for name in state):
            kinds = ('weight', 'bias', 'running_mean', 'running_var')
            heads += [f'head.deconv_layers.{i}.weight' for i in (0, 3)]
            heads += [f'head.deconv_layers.{i}.{kind}' for i in (1, 4) for kind in kinds]
        missing += [name for name in heads if name not in state]
    if missing:
        raise WeightsError(
            f"{origin} is an incomplete ViTPose: it lacks {len(missing)} weights, as (in mmpose's "
            f'naming) {missing[0]}; download it again'
        )


def _check_config_fits(
    config: Mapping[str, Any], architecture: Architecture | None, origin: str
) -> None:
    """Raise if the ``config.json`` beside weights is that of other weights."""
    backbone = config.get('backbone_config') or config
    for key, own in (
        ('hidden_size', architecture and architecture.embed_dims),
        ('num_hidden_layers', architecture and architecture.depth),
    ):
        if own and backbone.get(key, own) != own:
            raise WeightsError(
                f'{origin}: config.json says {key} {backbone[key]}, the weights have {own}; they '
                'are not of the same model, download the folder again'
            )
    heads = architecture and architecture.num_heads
    if architecture and heads and architecture.embed_dims % heads:
        raise WeightsError(
            f'{origin}: {heads} heads do not divide {architecture.embed_dims} channels '
            f'({architecture.heads_from})'
        )


def _drop_class_place(state: dict[str, torch.Tensor], prefix: str) -> list[str]:
    """Leave out a class token's place as mmpretrain does, which the model was evaluated with.

    mmpretrain 1.2's ``VisionTransformer._prepare_pos_embed`` drops the first entry where the model
    has no class token, and so does every model that reads this naming: it is not added.
    """
    name = f'{prefix}pos_embed'
    position = state[name]
    if grid_of(position.shape[1]) or not grid_of(position.shape[1] - 1):
        return []
    state[name] = position[:, 1:]
    return [
        'the place of a class token was left out of the position embedding, as mmpretrain does in '
        'this naming'
    ]


def _digits_note(path: Path) -> list[str]:
    """A note if a file is not what the SHA-256 in its name says."""
    digits = digits_in(path.name)
    if digits is None:
        return []
    own = sha256(path)[: len(digits)]
    if own == digits:
        return [f'its SHA-256 begins with {digits}, as its name says']
    return [f'its SHA-256 begins with {own}, not with {digits} as its name says: it was changed']
