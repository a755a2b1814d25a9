"""What ViTPose computes and mmpretrain's transformer does not, folded into the weights: exact.

- Position: Hugging Face's and ViTAE's models add the place of the class token, which they do not
  have, to every patch: ``patches + p[:, 1:] + p[:, :1]``. The first entry is trained.
- Experts of ViTPose++ (Xu et al., TPAMI 2023): the last layer of each MLP has shared rows and rows
  of one data set's expert, concatenated in this order.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from .architecture import grid_of
from .errors import WeightsError
from .namings import VITAE

EXPERTS = ('coco', 'aic', 'mpii', 'ap10k', 'apt36k', 'wholebody')
"""The data sets of ViTPose++'s experts, in the order of ``dataset_index``."""

KEYPOINTS = dict(zip(EXPERTS, (17, 14, 16, 17, 17, 133)))
"""Keypoints of each data set; a head with more is cut to them, as ViTAE's own split does."""

_EXPERT = re.compile(r'(?P<mlp>.*\.mlp\.)experts\.(?P<index>\d+)\.(?P<kind>weight|bias)')


@dataclass(frozen=True)
class Folded:
    """Weights of a plain transformer.

    Attributes:
        state: Tensors by name, still of the naming they came in.
        experts: The experts that the weights held.
        expert: The one that is folded in; None where there was none, or the file does not say.
        notes: What was done, a sentence each.
        unused: Names that were left out.
    """

    state: dict[str, torch.Tensor]
    experts: tuple[str, ...] = ()
    expert: str | None = None
    notes: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def check_expert(expert: str | None, origin: str) -> None:
    """Raise unless it is None or the name of an expert.

    Raises:
        WeightsError: It is not; the message lists them.
    """
    if expert is not None and expert not in EXPERTS:
        raise WeightsError(f'{origin}: there is no expert {expert}; choose of {", ".join(EXPERTS)}')


def fold_experts(
    state: Mapping[str, torch.Tensor], naming: str, expert: str | None, origin: str
) -> Folded:
    """One expert of ViTPose++ folded into a plain transformer, with the head that belongs to it.

    Args:
        state: Tensors by name, of Hugging Face's or ViTAE's naming.
        naming: Which.
        expert: Its name; None takes 'coco', whose head is the one that every form has.
        origin: What errors call the weights.

    Raises:
        WeightsError: There is no such expert, or its rows do not fit.
    """
    check_expert(expert, origin)
    found = {name: _EXPERT.fullmatch(name) for name in state}
    rows = {name: match for name, match in found.items() if match}
    heads = [name for name in state if name.startswith('associate_keypoint_heads.')]
    if not rows:
        if expert not in (None, 'coco'):
            raise WeightsError(
                f'{origin} has no experts, so not the one of {expert}: it is no ViTPose++'
            )
        plain = {name: value for name, value in state.items() if name not in heads}
        return Folded(plain, unused=tuple(heads))
    left = {name: value for name, value in state.items() if name not in rows}
    count = len({match['index'] for match in rows.values()})
    experts = EXPERTS[:count]
    dims = {match['mlp']: _rows_of_fc2(state, match['mlp']) for match in rows.values()}
    if all(shared == full for shared, full in dims.values()):
        kept = {name: value for name, value in left.items() if name not in heads}
        note = (
            'an expert was folded in by whoever split this ViTPose++; which one, only the '
            "file's name may say"
        )
        return Folded(kept, experts, None, (note,), (*rows, *heads))
    chosen = expert or 'coco'
    if chosen not in experts:
        raise WeightsError(f'{origin} holds experts of {", ".join(experts)}, none of {chosen}')
    index = EXPERTS.index(chosen)
    for mlp, (shared, full) in dims.items():
        for kind in ('weight', 'bias'):
            name, own = f'{mlp}fc2.{kind}', state.get(f'{mlp}experts.{index}.{kind}')
            if own is None or shared + own.shape[0] != full:
                have = 0 if own is None else own.shape[0]
                raise WeightsError(
                    f'{origin}: {shared} shared rows and {have} of the expert of {chosen} do not '
                    f'make the {full} of {name}'
                )
            left[name] = torch.cat([state[name], own])
    notes = [f'the expert of {chosen} is folded in, one of {", ".join(experts)}']
    kept, unused = _own_head(left, naming, index, heads)
    if index and not any(name.startswith(('head.', 'keypoint_head.')) for name in kept):
        notes.append(
            f"no head is taken: the file has none of {chosen}, and coco's reads other features"
        )
    return Folded(kept, experts, chosen, tuple(notes), tuple(unused))


def _rows_of_fc2(state: Mapping[str, torch.Tensor], mlp: str) -> tuple[int, int]:
    """Rows of an MLP's last layer as stored, and as the transformer needs."""
    stored, first = state.get(f'{mlp}fc2.weight'), state.get(f'{mlp}fc1.weight')
    if stored is None or first is None:
        raise WeightsError(f'{mlp}fc1 or {mlp}fc2 is missing: the weights are incomplete')
    return stored.shape[0], first.shape[1]


def _own_head(
    state: Mapping[str, torch.Tensor], naming: str, index: int, heads: list[str]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The weights with the head of one expert, which only ViTAE's files have for all, or none."""
    if not index:
        return {name: value for name, value in state.items() if name not in heads}, heads
    start = 'keypoint_head.' if naming == VITAE else 'head.'
    own = f'associate_keypoint_heads.{index - 1}.'
    kept = {
        name: value
        for name, value in state.items()
        if name not in heads and not name.startswith(start)
    }
    kept |= {
        name.replace(own, start, 1): value for name, value in state.items() if name.startswith(own)
    }
    for kind in ('weight', 'bias'):
        name = f'{start}final_layer.{kind}'
        if name in kept:
            kept[name] = kept[name][: KEYPOINTS[EXPERTS[index]]]
    unused = [name for name in state if name.startswith(start)]
    return kept, unused + [name for name in heads if not name.startswith(own)]


def fold_position(
    position: torch.Tensor, size: tuple[int, int] | None, patch: int, origin: str
) -> tuple[torch.Tensor, str]:
    """The place of the class token added to every patch's, where there is one.

    Args:
        position: (1, 1 + P, C), or (1, P, C) of a file in which it has been folded.
        size: (height, width) of the input in pixels, where something says; else the number of
            patches is the one that makes proportions of 4:3 or 1:1.
        patch: Pixels of a patch's side.
        origin: What errors call the weights.

    Returns:
        (1, P, C), and what was done.

    Raises:
        WeightsError: The number of entries is that of no grid, with or without the first.
    """
    entries = position.shape[1] if position.dim() == 3 else 0
    patches = (size[0] // patch) * (size[1] // patch) if size else None
    if patches is None:
        patches = entries - 1 if grid_of(entries - 1) else entries if grid_of(entries) else -1
    if entries == patches + 1:
        folded = position[:, 1:] + position[:, :1]
        return folded, f'the place of the class token was added to those of the {patches} patches'
    if entries == patches:
        return position, 'the position embedding is taken as it is: it has no class token'
    expected = f'{patches} patches' if size else 'no grid of 4:3 or square proportions'
    raise WeightsError(
        f'{origin}: the position embedding has {entries} entries, which fits {expected}'
    )
