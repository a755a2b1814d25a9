"""Never half a model: weights are compared with a model before it starts from them.

mmengine loads with ``strict=False``: what does not fit is a warning, and the run goes on from
random weights. That stays so for everybody else in the process. The comparison is made where the
model or the tool is this package's:

- the tools compare ``load_from``, ``--checkpoint`` and every ``init_cfg``, of any model,
- ``AtomicCheckpointHook``, which our configs have, compares ``load_from`` in any other runner,
- ``TopdownClipEstimator.init_weights`` compares the ``init_cfg`` of its parts, in any runner,
- the inferencers compare the weights of a ``TopdownClipEstimator``, MMPose's own included.

A part of a model (backbone, neck, head) is taken wholly or not at all, and what has an ``init_cfg``
is taken wholly, unless it is said that less is wanted: ``allow_partial``. Weights under names of
``reinit`` are left at their start.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from mmengine.logging import print_log
from mmengine.model import PretrainedInit
from mmengine.runner import CheckpointLoader
from torch import nn

from .calibration import take_calibration
from .errors import CheckpointError
from .fitting import SHOWN_KEYS, Fit, fit_weights, without
from .naming import ARCHITECTURE, ORIGIN
from .reading import read_checkpoint, weights_of

SCHEME = 'diffpose_mm:'
PARTIAL = 'if less is wanted, say so with --allow-partial'
_prepared: dict[str, dict] = {}
_numbers = count(1)


def prepare(source: str, checkpoint: dict) -> str:
    """Keep a checkpoint that was read and compared, for mmengine to load it as it is.

    Returns:
        str: The name under which mmengine's loader gives it, once; later it is read again.
    """
    name = f'{SCHEME}{next(_numbers)}:{source}'
    _prepared[name] = checkpoint
    return name


@CheckpointLoader.register_scheme(prefixes=SCHEME)
def load_from_diffpose_mm(filename: str, map_location: Any = None) -> dict:
    """What :func:`prepare` kept under this name; the second time, what is read anew."""
    source = filename.removeprefix(SCHEME).partition(':')[2]
    return _prepared.pop(filename, None) or read_checkpoint(source)


def check_pretrained(model: Any) -> None:
    """Read the checkpoints that a model's config starts from, before the model is built.

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


def prepare_pretrained(
    model: nn.Module, allow_partial: bool = False, reinit: Sequence[str] = ()
) -> None:
    """Compare the weights of every ``init_cfg`` with the part of the model that has it.

    How many were taken is logged in one line for each part. The part's ``init_cfg`` then names what
    was compared, and mmengine loads that. Beside mmengine's fields, ``init_cfg`` of the type
    'Pretrained' may have ``allow_partial`` (bool) and ``reinit`` (list of names within the part).

    Args:
        model: Built, and not initialised yet. What was compared or initialised is left alone.
        allow_partial: Accept weights for a part of a part.
        reinit: Names, or beginnings of names, of weights of the model that are not to be taken.

    Raises:
        CheckpointError: A checkpoint cannot be read, or does not fill the part.
    """
    model = getattr(model, 'module', model)
    for name, module, init in list(_pretrained(model)):
        own = f'{name}.' if name else ''
        dropped = [*(init.pop('reinit', None) or ()), *_within(reinit, own)]
        partial = init.pop('allow_partial', False) or allow_partial
        source, prefix = str(init['checkpoint']), init.get('prefix') or ''
        if source.startswith(SCHEME):
            continue
        checkpoint = read_checkpoint(source)
        weights = _prefixed(weights_of(checkpoint), prefix, source, name)
        check_heads(module, checkpoint, source)
        weights = without(weights, dropped)
        fit = fit_weights(module, weights, dropped)
        what = f'model.{name} ({type(module).__name__})' if name else type(module).__name__
        if not partial and (fit.missing or fit.reshaped or fit.fault or not fit.taken):
            _refuse(source, what, fit)
        _tell(what, checkpoint.get(ORIGIN, source), fit, dropped)
        prefix = f'{prefix.rstrip(".")}.' if prefix else ''
        state = {f'{prefix}{key}': value for key, value in weights.items()}
        init['checkpoint'] = prepare(source, dict(checkpoint, state_dict=state))


def prepare_start(
    model: nn.Module, source: str, allow_partial: bool = False, reinit: Sequence[str] = ()
) -> str:
    """Compare a checkpoint with a model that is to be trained from it.

    How many weights were taken is logged in one line. Each part of the model has to be filled
    wholly or not at all, and the whole by more than a few. As a side effect the weights are loaded.

    Args:
        model: Any model.
        source: See :func:`read_checkpoint`.
        allow_partial: Accept parts that are filled in part, or few weights.
        reinit: Names, or beginnings of names, of weights that are not to be taken.

    Returns:
        str: What to give to mmengine as ``load_from``: the weights that were compared.

    Raises:
        CheckpointError: It cannot be read or does not fit; the message names what differs.
    """
    return prepare(source, start(model, read_checkpoint(source), source, allow_partial, reinit))


def start(
    model: nn.Module,
    checkpoint: dict,
    source: str,
    allow_partial: bool = False,
    reinit: Sequence[str] = (),
) -> dict:
    """:func:`prepare_start` of a checkpoint that was read.

    Returns:
        dict: The checkpoint, without the weights that ``reinit`` names.
    """
    model = getattr(model, 'module', model)
    check_heads(getattr(model, 'backbone', model), checkpoint, source)
    weights = without(weights_of(checkpoint), reinit)
    fit = fit_weights(model, weights, reinit)
    if not allow_partial and (fit.few or fit.halves() or fit.reshaped or fit.fault):
        _refuse(source, f'the model ({type(model).__name__})', fit)
    _tell('model', checkpoint.get(ORIGIN, source), fit, reinit)
    return dict(checkpoint, state_dict=weights)


def check_checkpoint(
    model: nn.Module, path: str, resume: bool = False, allow_partial: bool = False
) -> dict:
    """Raise unless a checkpoint is one of this model's architecture.

    What the model itself adapts at load, such as position embeddings of another input size, is not
    a difference. As a side effect the weights are loaded into ``model``.

    Args:
        model: The model the checkpoint is meant for.
        path: See :func:`read_checkpoint`.
        resume: Also require what training needs to go on (optimiser state and epoch).
        allow_partial: Take what fits, if anything does.

    Returns:
        dict: The checkpoint, as it was read.

    Raises:
        CheckpointError: With the first differing keys and shapes, and what to do.
    """
    checkpoint = read_checkpoint(path)
    if resume and not {'optimizer', 'meta', 'message_hub'} <= checkpoint.keys():
        raise CheckpointError(
            f'checkpoint {path} holds weights only and training cannot be resumed from it; start '
            f'from its weights with --cfg-options load_from={path}'
        )
    compare(model, checkpoint, path, allow_partial)
    return checkpoint


def compare(model: nn.Module, checkpoint: dict, path: str, allow_partial: bool = False) -> None:
    """:func:`check_checkpoint` of one that was read; the head takes its calibration, too."""
    weights = weights_of(checkpoint)
    model = getattr(model, 'module', model)
    check_heads(getattr(model, 'backbone', model), checkpoint, path)
    # A neck may take the weights of a single-frame one, as a start for training and nothing else.
    for name, module in model.named_modules():
        if not hasattr(module, 'checkpoint_frames'):
            continue
        frames = module.checkpoint_frames(weights, f'{name}.' if name else '')
        if frames not in (None, module.num_frames):
            raise CheckpointError(
                f'checkpoint {path} was trained on clips of {frames} frames, this config has '
                f'{module.num_frames}; use the config that it was trained with, or start training '
                f'from it with --cfg-options load_from={path}'
            )
    fit = fit_weights(model, weights)
    differences = fit.differences()
    if differences and not (allow_partial and fit.taken):
        raise CheckpointError(
            f'checkpoint {path} is of another architecture than the model of this config: '
            f'{fit.sentence()}; use the config that it was trained with (a copy stands in its '
            f'work directory){differences}'
        )
    take_calibration(model, checkpoint, path)
    _tell('model', checkpoint.get(ORIGIN, path), fit)


def check_heads(module: nn.Module, checkpoint: dict, source: str) -> None:
    """Raise if the weights are of a Transformer with another number of heads than the module's.

    The number is in no weight, and every number loads.

    Args:
        module: A backbone.
        checkpoint: As :func:`read_checkpoint` gives it; ``architecture`` is what it came with.
        source: Its name, for the error.
    """
    architecture: Any = checkpoint.get(ARCHITECTURE)
    heads, width = (getattr(architecture, name, None) for name in ('num_heads', 'embed_dims'))
    own = set()
    for part in module.modules():
        number: Any = getattr(part, 'num_heads', None)
        if isinstance(number, int) and getattr(part, 'embed_dims', width) == width:
            own.add(number)
    if heads and own and own != {heads}:
        raise CheckpointError(
            f'weights {source} are of a Transformer with {heads} heads of attention '
            f'({architecture.heads_from}), and '
            f'{type(module).__name__} has {", ".join(map(str, sorted(own)))}: they would load and '
            f'compute something else; set num_heads={heads} in model.backbone.arch (ViT-S of '
            "ViTPose has 12 heads, that of DeiT, arch='deit-small', has 6)"
        )


def _pretrained(model: nn.Module) -> Iterator[tuple[str, nn.Module, dict]]:
    """Name, module and ``init_cfg`` of whatever starts from a checkpoint."""
    for name, module in model.named_modules():
        if getattr(module, 'is_init', False):
            continue
        init = getattr(module, 'init_cfg', None)
        for cfg in init if isinstance(init, (list, tuple)) else [init]:
            if isinstance(cfg, dict) and cfg.get('type') in ('Pretrained', PretrainedInit):
                yield name, module, cfg


def _prefixed(weights: dict, prefix: str, source: str, name: str) -> dict:
    """The weights under a prefix, without it."""
    if not prefix:
        return weights
    prefix = f'{prefix.rstrip(".")}.'
    found = {
        key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)
    }
    if not found:
        starts = sorted({key.partition('.')[0] for key in weights})[:SHOWN_KEYS]
        raise CheckpointError(
            f'weights {source}: no name begins with {prefix!r}, as model.{name}.init_cfg.prefix '
            f'says; they begin with {", ".join(starts)}. Use weights of this architecture, or set '
            'prefix to what theirs begin with (None for a backbone alone)'
        )
    return found


def _within(names: Sequence[str], prefix: str) -> list[str]:
    """Of names within the model, those within one of its parts, without the part's own name."""
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def _tell(what: str, source: str, fit: Fit, anew: Sequence[str] = ()) -> None:
    """Log how many weights were taken."""
    text = f'{what}: {fit.sentence()} from {source}'
    if fit.unexpected:
        text += f'; {len(fit.unexpected)} of {fit.given} there were not used'
    if anew:
        text += f'; started anew: {", ".join(anew)}'
    incomplete = bool(fit.missing or fit.reshaped)
    print_log(text, 'current', logging.WARNING if incomplete else logging.INFO)


def _refuse(source: str, what: str, fit: Fit) -> None:
    """Raise the error of weights that do not fit."""
    advice = 'use weights of this architecture'
    if fit.reshaped:
        names = ' '.join(text.partition(' ')[0] for text in fit.reshaped)
        advice += f', or start those of another shape anew with --reinit {names}'
    raise CheckpointError(
        f'weights {source} do not fit {what}: {fit.sentence()}; {advice}; {PARTIAL}'
        f'{fit.differences()}'
    )
