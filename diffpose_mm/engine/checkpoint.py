"""Checkpoints: read safely, and compared with the model before a run starts.

torch >= 2.6 unpickles checkpoints with ``weights_only=True`` and refuses every type that it does
not know. mmengine's own training checkpoints hold log histories and numpy scalars, so they cannot
be read back unless exactly these types are allowed. :func:`register_safe_globals` does that; a
checkpoint can still not run code.
"""

import os.path as osp
import pickle
import re
import zipfile
from collections.abc import Callable
from typing import Any

import mmengine.runner.checkpoint
import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from ..models.clip_neck import ClipNeck

BUFFER_STATISTICS = ('min', 'max', 'mean', 'current')
# Of the arrays in a data set's meta information and in log histories. numpy 1 counts in int32 on
# Windows.
NUMPY_KINDS = ('uint8', 'int32', 'int64', 'float32', 'float64')
SHOWN_KEYS = 5
# What torch says where it refuses a type, and not where a file is damaged.
REFUSALS = (
    'GLOBAL',
    'allowlisted',
    'unrecognized function',
    'may not read',
    'TorchScript',
    'legacy .tar format',
)
READING_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    RuntimeError,
    OSError,
    ValueError,
    KeyError,
    zipfile.BadZipFile,
)


class CheckpointError(RuntimeError):
    """A checkpoint is missing, unreadable, or not one of the model it is meant for."""


def _buffer_statistic(owner: type, name: str) -> Callable:
    """Stand in for ``getattr`` in a checkpoint: a statistic of HistoryBuffer and nothing else.

    mmengine pickles ``HistoryBuffer.mean`` and its like by reference, which pickle writes as a call
    of ``getattr``. The real ``getattr`` would open a way to any attribute, so this narrow one is
    allowed under its name.
    """
    if owner is HistoryBuffer and name in BUFFER_STATISTICS:
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'a checkpoint may not read the attribute {name!r} of {owner!r}')


def safe_globals() -> dict[str, Callable]:
    """What a checkpoint may name beside tensors, numbers and containers, and what it then gets.

    These are log histories, numpy arrays, numpy scalars and their dtypes. numpy 2 renamed a module,
    and a checkpoint written beside one numpy can be read beside the other.
    """
    reconstruct, scalar = np.ndarray([]).__reduce__()[0], np.float64(0).__reduce__()[0]
    allowed: dict[str, Callable] = {
        'mmengine.logging.history_buffer.HistoryBuffer': HistoryBuffer,
        'builtins.getattr': _buffer_statistic,
        'numpy.ndarray': np.ndarray,
        'numpy.dtype': np.dtype,
    }
    for core in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        allowed |= {f'{core}._reconstruct': reconstruct, f'{core}.scalar': scalar}
    for kind in (type(np.dtype(name)) for name in NUMPY_KINDS):
        allowed[f'{kind.__module__}.{kind.__qualname__}'] = kind
    return allowed


def register_safe_globals() -> None:
    """Allow :func:`safe_globals` under ``torch.load(weights_only=True)``."""
    torch.serialization.add_safe_globals([(kind, name) for name, kind in safe_globals().items()])


def load_weights_only(file: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
    """``torch.load`` with ``weights_only`` on, whatever is asked for."""
    return torch.load(file, map_location=map_location, weights_only=True)


def forbid_loading_code() -> None:
    """Take back onedl-mmengine's second try, with ``weights_only`` off, at what was refused.

    mmengine has no such function, and nothing is changed.
    """
    if hasattr(mmengine.runner.checkpoint, '_safe_torch_load'):
        mmengine.runner.checkpoint._safe_torch_load = load_weights_only


def _check_sums(path: str, where: str) -> None:
    """Raise if the parts of a file are not what was written: torch would load them."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if archive.testzip():
            raise CheckpointError(
                f'{where} is damaged: its contents do not match its checksums; copy or download '
                'it again, or use an earlier epoch'
            )


def check_pretrained(model: Any) -> None:
    """Read the checkpoints that a model's config starts from, before a run starts.

    Args:
        model: Config of a model, or a part of it: ``init_cfg=dict(type='Pretrained', ...)`` may
            stand anywhere.

    Raises:
        CheckpointError: See :func:`read_checkpoint`.
    """
    if isinstance(model, dict):
        if model.get('type') == 'Pretrained' and 'checkpoint' in model:
            read_checkpoint(model['checkpoint'])
        model = list(model.values())
    if isinstance(model, (list, tuple)):
        for part in model:
            check_pretrained(part)


def read_checkpoint(path: str) -> dict:
    """Read a checkpoint onto the CPU with ``weights_only`` on.

    Args:
        path: A file, or an address that mmengine can load (``https://``, ``s3://``, ...).

    Returns:
        The checkpoint, with the weights under ``state_dict`` (a bare state dict is wrapped).

    Raises:
        CheckpointError: If the file is missing, empty or cut short, has no weights, or holds types
            that are not allowed.
    """
    where = f'checkpoint {path}'
    remote = '://' in path
    if not remote:
        path = osp.expanduser(path)
        if not osp.isfile(path):
            raise CheckpointError(f'{where} does not exist; check the path, or train first')
        where += f' ({osp.getsize(path):,} bytes)'
    try:
        if remote:
            checkpoint = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
        else:
            _check_sums(path, where)
            # Said here, no variable of the environment can turn it off.
            checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except CheckpointError:
        raise
    except READING_ERRORS as error:
        reason = str(error) or type(error).__name__
        if any(sign in reason for sign in REFUSALS):
            found = re.search(r"GLOBAL (\S+)|got <class '(.+?)'", reason)
            kind = found.group(1) or found.group(2) if found else 'an object'
            raise CheckpointError(
                f'{where} holds {kind}, which is not plain weights, and is refused because '
                'unpickling it could run code; save the weights alone, or allow the type with '
                'torch.serialization.add_safe_globals if you trust it'
            ) from error
        if remote and isinstance(error, OSError):
            raise CheckpointError(
                f'{where} could not be downloaded ({reason.splitlines()[0]}): get it elsewhere and '
                'give its path'
            ) from error
        raise CheckpointError(
            f'{where} cannot be read: it is cut short, or was not written by torch.save; copy or '
            'download it again, or use an earlier epoch '
            f'({reason.splitlines()[0].partition(". ")[0]})'
        ) from error
    if not isinstance(checkpoint, dict) or not checkpoint:
        raise CheckpointError(f'{where} holds {type(checkpoint).__name__}, not a dict of weights')
    if 'state_dict' not in checkpoint:
        if not all(torch.is_tensor(value) for value in checkpoint.values()):
            keys = sorted(map(str, checkpoint))[:SHOWN_KEYS]
            raise CheckpointError(f'{where} has no "state_dict"; its first keys are {keys}')
        checkpoint = dict(state_dict=checkpoint)
    return checkpoint


def check_checkpoint(model: torch.nn.Module, path: str, resume: bool = False) -> None:
    """Raise unless a checkpoint is one of this model's architecture.

    What the model itself adapts at load, such as position embeddings of another input size, is not
    a difference. As a side effect the weights are loaded into ``model``.

    Args:
        model: The model the checkpoint is meant for.
        path: See :func:`read_checkpoint`.
        resume: Also require what training needs to go on (optimiser state and epoch).

    Raises:
        CheckpointError: With the first differing keys and shapes, and what to do.
    """
    checkpoint = read_checkpoint(path)
    if resume and not {'optimizer', 'meta', 'message_hub'} <= checkpoint.keys():
        raise CheckpointError(
            f'checkpoint {path} holds weights only and training cannot be resumed from it; start '
            f'from its weights with --cfg-options load_from={path}'
        )
    weights = {
        key.removeprefix('module.'): value for key, value in checkpoint['state_dict'].items()
    }
    model = getattr(model, 'module', model)
    own = model.state_dict()
    # A neck may take the weights of a single-frame one, as a start for training and nothing else.
    for name, module in model.named_modules():
        if not isinstance(module, ClipNeck):
            continue
        frames = module.checkpoint_frames(weights, f'{name}.' if name else '')
        if frames not in (None, module.num_frames):
            raise CheckpointError(
                f'checkpoint {path} was trained on clips of {frames} frames, this config has '
                f'{module.num_frames}; use the config that it was trained with, or start training '
                f'from it with --cfg-options load_from={path}'
            )
    message = ''
    try:
        model.load_state_dict(dict(weights), strict=False)
    except (RuntimeError, AssertionError, ValueError) as error:
        message = str(error)

    missing = [
        f'{key} {tuple(value.shape)}'
        for key, value in own.items()
        if key not in weights and not key.endswith('num_batches_tracked')
    ]
    unexpected = [f'{key} {tuple(value.shape)}' for key, value in weights.items() if key not in own]
    reshaped = [
        f'{key} {tuple(weights[key].shape)} in the checkpoint, {tuple(value.shape)} in the model'
        for key, value in own.items()
        if f'size mismatch for {key}:' in message
    ]
    lines = []
    for title, keys in (
        ('only in the model', missing),
        ('only in the checkpoint', unexpected),
        ('of another shape', reshaped),
    ):
        if keys:
            more = '; ...' if len(keys) > SHOWN_KEYS else ''
            lines.append(f'\n  {title} ({len(keys)}): ' + '; '.join(keys[:SHOWN_KEYS]) + more)
    if message and not reshaped:
        lines.append('\n  ' + message.strip().splitlines()[-1].strip())
    if lines:
        raise CheckpointError(
            f'checkpoint {path} is of another architecture than the model of this config; use the '
            'config that it was trained with (a copy stands in its work directory)' + ''.join(lines)
        )
