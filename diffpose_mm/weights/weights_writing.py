"""Weights written whole or not at all: for mmpose as one file, for transformers as a folder."""

import json
import os
from pathlib import Path
from typing import Any

import torch

from ..files import atomic_write, prepare_folder
from ..version import __version__
from .architecture import Architecture
from .errors import WeightsError
from .hub import MAIN_FILE
from .namings import mmpose_to_hugging_face
from .safetensors_format import write_safetensors
from .sources import CONFIG
from .weights_reading import Weights, require_vitpose

SUFFIXES = ('.safetensors', '.pth')
# Of COCO's keypoints, as the hub's models name them.
COCO_LABELS = (
    'Nose, L_Eye, R_Eye, L_Ear, R_Ear, L_Shoulder, R_Shoulder, L_Elbow, R_Elbow, L_Wrist, R_Wrist, '
    'L_Hip, R_Hip, L_Knee, R_Knee, L_Ankle, R_Ankle'
).split(', ')


def check_target(path: str | os.PathLike, to: str, overwrite: bool = False) -> Path:
    """Raise if weights can't be written to a path, before they are read.

    Args:
        path: A file for 'mmpose', a folder for 'hf'.
        to: 'mmpose' or 'hf'.
        overwrite: Whether what is there may be replaced.

    Raises:
        WeightsError: The path is taken, or its suffix is not one that can be written.
    """
    target = Path(path)
    if to == 'mmpose':
        if target.suffix not in SUFFIXES:
            raise WeightsError(f'{target} has to end in {" or ".join(SUFFIXES)}')
        if target.is_dir():
            raise WeightsError(f'{target} is a folder; give the name of a file')
        taken = [target] if target.exists() else []
    else:
        if target.is_file() or target.suffix in (*SUFFIXES, '.bin'):
            raise WeightsError(
                f'{target}: weights for transformers are a folder; give the name of one'
            )
        taken = [target / name for name in (CONFIG, MAIN_FILE) if (target / name).exists()]
    if taken and not overwrite:
        raise WeightsError(f'{taken[0]} exists; give another name, or --overwrite')
    return target


def write_mmpose(weights: Weights, path: str | os.PathLike, overwrite: bool = False) -> Path:
    """Write weights as mmpose 1.x names them.

    Args:
        weights: Of any architecture.
        path: Ends in .safetensors or .pth.
        overwrite: Whether a file there may be replaced.

    Returns:
        The file.

    Raises:
        WeightsError: See :func:`check_target`; or the weights are of a naming that is not mmpose's
            and not known.
        OSError: It cannot be written.
    """
    target = check_target(path, 'mmpose', overwrite)
    if weights.naming == 'other':
        require_vitpose(weights)
    facts = facts_of(weights)
    prepare_folder(str(target.parent))
    with atomic_write(target, 'wb') as file:
        if target.suffix == '.pth':
            meta = {**_plain_meta(weights.meta), **facts}
            torch.save({'meta': meta, 'state_dict': _own_memory(weights.state_dict)}, file)
        else:
            texts = {key: json.dumps(value) for key, value in facts.items()}
            write_safetensors(file, weights.state_dict, {'format': 'pt', **texts})
    return target


def write_hugging_face(
    weights: Weights, folder: str | os.PathLike, overwrite: bool = False
) -> Path:
    """Write a ViTPose as transformers' ``VitPoseForPoseEstimation.from_pretrained`` opens it.

    The expert that was folded in can't be told from the shared rows any more, so the model has one
    expert, and the first entry of its position embedding is zero.

    Args:
        weights: With a head.
        folder: Gets ``config.json`` and ``model.safetensors``.
        overwrite: Whether such files there may be replaced.

    Returns:
        The folder.

    Raises:
        WeightsError: See :func:`check_target`; or the weights are not of a ViTPose with a head, or
            its heads or input size are not known, or it has parts that transformers' has not.
        OSError: It cannot be written.
    """
    target = check_target(folder, 'hf', overwrite)
    architecture = require_vitpose(weights, head=True)
    config = hugging_face_config(architecture, weights.origin)
    state, unused = mmpose_to_hugging_face(weights.state_dict, weights.prefix)
    if unused:
        raise WeightsError(
            f"{weights.origin} has {len(unused)} weights that transformers' ViTPose has no place "
            f'for, as {unused[0]}'
        )
    prepare_folder(str(target))
    with atomic_write(target / MAIN_FILE, 'wb') as file:
        texts = {key: json.dumps(value) for key, value in facts_of(weights).items()}
        write_safetensors(file, state, {'format': 'pt', **texts})
    with atomic_write(target / CONFIG) as file:
        file.write(json.dumps(config, indent=2) + '\n')
    return target


def hugging_face_config(architecture: Architecture, origin: str = 'the model') -> dict[str, Any]:
    """``config.json`` of a ViTPose, with every field that has a default which does not fit it.

    ``out_indices`` in particular: ``VitPoseConfig()`` takes the features of the fourth of twelve
    layers (transformers 5.24).

    Raises:
        WeightsError: The heads, the input size or the keypoints are not known.
    """
    if architecture.num_heads is None or architecture.input_size is None:
        lacking = 'number of heads' if architecture.num_heads is None else 'input size'
        raise WeightsError(f'{origin}: nothing says its {lacking}, and its dimensions are unusual')
    if architecture.keypoints is None or architecture.head is None:
        raise WeightsError(f'{origin} has no head of ViTPose (classic or simple)')
    if architecture.feedforward % architecture.embed_dims:
        raise WeightsError(f"{origin}: transformers' ViTPose has an MLP of whole multiples only")
    width, height = architecture.input_size
    last, count = f'stage{architecture.depth}', architecture.keypoints
    labels = COCO_LABELS if count == len(COCO_LABELS) else [f'keypoint_{i}' for i in range(count)]
    return {
        'architectures': ['VitPoseForPoseEstimation'],
        'model_type': 'vitpose',
        'backbone_config': {
            'model_type': 'vitpose_backbone',
            'image_size': [height, width],
            'patch_size': [architecture.patch_size] * 2,
            'num_channels': 3,
            'hidden_size': architecture.embed_dims,
            'num_hidden_layers': architecture.depth,
            'num_attention_heads': architecture.num_heads,
            'mlp_ratio': architecture.feedforward // architecture.embed_dims,
            'num_experts': 1,
            'part_features': architecture.embed_dims // 4,
            'hidden_act': 'gelu',
            'layer_norm_eps': 1e-6,
            'qkv_bias': True,
            'out_features': [last],
            'out_indices': [architecture.depth],
            'stage_names': ['stem', *(f'stage{i + 1}' for i in range(architecture.depth))],
        },
        'scale_factor': 4,
        'use_simple_decoder': architecture.head == 'simple',
        'id2label': {str(i): label for i, label in enumerate(labels)},
        'label2id': {label: i for i, label in enumerate(labels)},
        'dtype': 'float32',
    }


def facts_of(weights: Weights) -> dict[str, Any]:
    """What is written beside weights: where they are from and what no weight tells."""
    facts: dict[str, Any] = {
        'origin': weights.origin,
        'origin_naming': weights.naming,
        'written_by': f'diffpose_mm {__version__}',
    }
    if weights.architecture and weights.architecture.num_heads:
        facts['num_heads'] = weights.architecture.num_heads
    if weights.expert:
        facts['expert'] = weights.expert
    if weights.licence:
        facts['licence'] = weights.licence
    return facts


def _plain_meta(meta: dict[str, Any]) -> dict[str, Any]:
    """What the file said of itself, without the ``config.json`` that was beside it."""
    return {key: value for key, value in meta.items() if key != 'config'}


def _own_memory(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors that are views of larger ones copied, or torch.save would write the larger ones."""
    return {
        name: value.clone()
        if value.untyped_storage().nbytes() > value.numel() * value.element_size()
        else value.contiguous()
        for name, value in state.items()
    }
