"""Which weight of MoveNet's TensorFlow.js graphs is which of ours."""

import re
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

NETWORK = 'StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/'
HEADS = 'StatefulPartitionedCall/'
MOBILENET = NETWORK + 'model/'
LATERALS = {32: 'conv2d', 16: 'conv2d_1', 8: 'conv2d_2', 4: 'conv2d_3'}
SMOOTH = {16: 'separable_conv2d', 8: 'separable_conv2d_1', 4: 'separable_conv2d_2'}
BLOCKS = 17
BRANCHES = dict(
    center='center_0',
    heatmap='kpt_heatmap_0',
    regression='kpt_regress_0',
    offset='kpt_offset_0',
    box_scale='box_scale_0',
    box_offset='box_offset_0',
)


def _folded(ours: str, theirs: str, kind: str = 'Conv2D') -> dict[str, str]:
    """A convolution with a batch norm folded into it."""
    return {
        f'{ours}.weight': f'{theirs}/{kind}_weights',
        f'{ours}.bias': f'{theirs}/{kind}_bn_offset',
    }


def backbone_names() -> dict[str, str]:
    """Our name -> the graph's, of the backbone."""
    names = _folded('stem', MOBILENET + 'Conv1')
    for i in range(BLOCKS):
        block = MOBILENET + (f'block_{i}' if i else 'expanded_conv')
        if i:
            names |= _folded(f'blocks.{i}.expand', f'{block}_expand')
        names |= _folded(f'blocks.{i}.depthwise', f'{block}_depthwise', 'depthwise')
        names |= _folded(f'blocks.{i}.project', f'{block}_project')
    names |= _folded('last', MOBILENET + 'Conv_1')
    for stride, theirs in LATERALS.items():
        names[f'lateral{stride}.weight'] = f'{NETWORK}{theirs}/Conv2D/ReadVariableOp'
        names[f'lateral{stride}.bias'] = f'{NETWORK}{theirs}/BiasAdd/ReadVariableOp'
    for stride, theirs in SMOOTH.items():
        theirs = f'{NETWORK}{theirs}/separable_conv2d'
        names[f'smooth{stride}.depthwise.weight'] = f'{theirs}/ReadVariableOp'
        names[f'smooth{stride}.pointwise.weight'] = f'{theirs}_weights'
        names[f'smooth{stride}.pointwise.bias'] = f'{theirs}_bn_offset'
    return {f'backbone.{ours}': theirs for ours, theirs in names.items()}


def branch_names(weights: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Our name -> the graph's, of those heads that a graph has.

    Their layers are numbered through, and so have other numbers in another graph.
    """
    names = {}
    for ours, theirs in BRANCHES.items():
        hidden = final = None
        for key in weights:
            found = re.fullmatch(f'{HEADS}{theirs}/(separable_conv2d_\\d+|conv2d_\\d+)/.*', key)
            if found and found[1].startswith('sep'):
                hidden = f'{HEADS}{theirs}/{found[1]}'
            elif found:
                final = f'{HEADS}{theirs}/{found[1]}'
        if hidden is None or final is None:
            continue
        branch = f'head.branches.{ours}'
        names |= {
            f'{branch}.hidden.depthwise.weight': f'{hidden}/separable_conv2d/ReadVariableOp',
            f'{branch}.hidden.pointwise.weight': f'{hidden}/separable_conv2d/ReadVariableOp_1',
            f'{branch}.hidden.pointwise.bias': f'{hidden}/BiasAdd/ReadVariableOp',
            f'{branch}.final.weight': f'{final}/Conv2D/ReadVariableOp',
            f'{branch}.final.bias': f'{final}/BiasAdd/ReadVariableOp',
        }
    return names


def state_dict_of(weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """A graph's weights under our names and in PyTorch's layout, in the type they are stored in.

    Args:
        weights: See :class:`.tfjs.GraphModel`. TensorFlow's convolutions are (h, w, in, out), its
            depthwise ones (h, w, channels, 1).

    Raises:
        ValueError: It is not one of MoveNet: a weight is not there.
    """
    names = backbone_names() | branch_names(weights)
    lacking = [theirs for theirs in names.values() if theirs not in weights]
    if lacking:
        raise ValueError(
            f'it is not MoveNet: {len(lacking)} of {len(names)} weights are not there, the first '
            f'is {lacking[0]}'
        )
    state_dict = {}
    for ours, theirs in names.items():
        value = weights[theirs]
        if value.ndim == 4:
            order = (2, 3, 0, 1) if 'depthwise.weight' in ours else (3, 2, 0, 1)
            value = value.transpose(order)
        state_dict[ours] = torch.from_numpy(np.array(value))
    return state_dict
