"""Checkpoints: read safely, wherever they come from, and told apart where they are not one."""

import io
import logging
import os.path as osp
import pickle
import re
import zipfile

import torch
from mmengine.fileio import get_file_backend
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader

from ..weights.safetensors_format import is_safetensors
from ..weights.sources import split_expert
from .errors import CheckpointError, UnavailableError
from .naming import ORIGIN, in_our_naming, read_foreign

HUB = 'hf:'
OBJECT_STORE = re.compile(r'(\S+:)?(s3|petrel)://')
OR = ' or '
ADDRESSES = ('http://', 'https://')
INDEX = '.index.json'
OTHER_ENDINGS = ('.safetensors', INDEX)
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


def read_checkpoint(source: str) -> dict:
    """Read a checkpoint onto the CPU with ``weights_only`` on.

    Args:
        source: A file of torch or safetensors, a folder with one, ``hf:OWNER/NAME``, an address
            that mmengine can load (``https://``, ``s3://``, ...); or several of them, as
            'hf:OWNER/NAME or https://...', of which the first that can be had is taken.

    Returns:
        The checkpoint, with the weights under ``state_dict`` (a bare state dict is wrapped). Those
        of ViTPose in another naming get mmpose's. ``architecture``, where it is known, is what they
        came with; ``origin``, where that may not be ``source``, is what was taken.

    Raises:
        CheckpointError: It is missing, empty or cut short, has no weights, or holds types that are
            not allowed.
    """
    sources = source.split(OR)
    if len(sources) > 1 and not osp.exists(osp.expanduser(source)):
        return _read_first([part.strip() for part in sources])
    if is_torch_file(source):
        return in_our_naming(_read_torch(source), source)
    return read_foreign(source)


def is_torch_file(source: str) -> bool:
    """Whether a source is for torch to read: a file by its content, a scheme of mmengine's."""
    path = osp.expanduser(source)
    if source.startswith((HUB, *ADDRESSES)) or osp.isdir(path):
        return False
    if not osp.isfile(path):
        return not (source.endswith(OTHER_ENDINGS) or osp.isfile(split_expert(path)[0]))
    with open(path, 'rb') as file:
        return not is_safetensors(file.read(9)) and not source.endswith(INDEX)


def _read_first(sources: list[str]) -> dict:
    """The first of several sources that can be had.

    Raises:
        CheckpointError: None can be had, or one that was had is no checkpoint.
    """
    failures = []
    for source in sources:
        try:
            checkpoint = read_checkpoint(source)
        except UnavailableError as error:
            failures.append(str(error))
            continue
        for failure in failures:
            print_log(f'{failure}. Taken instead: {source}', 'current', logging.WARNING)
        return {ORIGIN: source, **checkpoint}
    tried = ''.join(f'\n  {number}. {text}' for number, text in enumerate(failures, 1))
    raise UnavailableError(
        f'none of {len(sources)} sources of these weights could be had; copy the file from where '
        'one can be reached and give its path (for a config of ours: --cfg-options '
        'model.backbone.init_cfg.checkpoint=FILE), or start from random weights '
        f'(model.backbone.init_cfg=None):{tried}'
    )


def _read_torch(path: str) -> dict:
    """Read a file of torch, local or remote."""
    where = f'checkpoint {path}'
    remote = '://' in path
    if not remote:
        path = osp.expanduser(path)
        if not osp.isfile(path):
            raise UnavailableError(f'{where} does not exist; check the path, or train first')
        where += f' ({osp.getsize(path):,} bytes)'
    try:
        if OBJECT_STORE.match(path):
            backend = get_file_backend(path, backend_args=dict(backend='petrel'))
            content = io.BytesIO(backend.get(path))
            checkpoint = torch.load(content, map_location='cpu', weights_only=True)
        elif remote:
            # An address in the end; forbid_loading_code() sees to it that it is read likewise.
            checkpoint = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
        else:
            _check_sums(path, where)
            # Said here, no variable of the environment can turn it off. Of a path torch 2.14 would
            # look at the ending.
            with open(path, 'rb') as file:
                checkpoint = torch.load(file, map_location='cpu', weights_only=True)
    except CheckpointError:
        raise
    except READING_ERRORS as error:
        raise _told(error, where, remote) from error
    if not isinstance(checkpoint, dict) or not checkpoint:
        raise CheckpointError(f'{where} holds {type(checkpoint).__name__}, not a dict of weights')
    if 'state_dict' not in checkpoint:
        if not all(torch.is_tensor(value) for value in checkpoint.values()):
            keys = sorted(map(str, checkpoint))[:SHOWN_KEYS]
            raise CheckpointError(f'{where} has no "state_dict"; its first keys are {keys}')
        checkpoint = dict(state_dict=checkpoint)
    return checkpoint


def _told(error: Exception, where: str, remote: bool) -> CheckpointError:
    """What an error of torch means."""
    reason = str(error) or type(error).__name__
    if any(sign in reason for sign in REFUSALS):
        found = re.search(r"GLOBAL (\S+)|got <class '(.+?)'", reason)
        kind = found.group(1) or found.group(2) if found else 'an object'
        return CheckpointError(
            f'{where} holds {kind}, which is not plain weights, and is refused because '
            'unpickling it could run code; save the weights alone, or allow the type with '
            'torch.serialization.add_safe_globals if you trust it'
        )
    if remote and isinstance(error, OSError):
        return UnavailableError(
            f'{where} could not be downloaded ({reason.splitlines()[0]}): get it elsewhere and '
            'give its path'
        )
    return CheckpointError(
        f'{where} cannot be read: it is cut short, or was not written by torch.save; copy or '
        'download it again, or use an earlier epoch '
        f'({reason.splitlines()[0].partition(". ")[0]})'
    )


def weights_of(checkpoint: dict) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint by name, without what distributed training puts before it."""
    return {
        key.removeprefix('module.'): value
        for key, value in checkpoint['state_dict'].items()
        if torch.is_tensor(value)
    }
