"""What trainers wrap weights in, taken off: checkpoints, averages, prefixes of all names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from .errors import WeightsError

# Where trainers put the weights in what they save, the likeliest first.
STATES = ('state_dict', 'model', 'model_state_dict', 'net', 'ema_state_dict', 'model_ema')
# Prefixes of every name: DataParallel, torch.compile, mmengine's averaged model.
PREFIXES = ('module.', '_orig_mod.')
# Of no use but to the average itself.
COUNTERS = ('steps', 'n_averaged')
SHOWN = 5


@dataclass
class Unwrapped:
    """Weights without their wrappings.

    Attributes:
        state: Tensors by name.
        meta: What the checkpoint says of itself (mmengine's ``meta``), a dict that may be empty.
        notes: What was taken off and which of several sets was chosen, a sentence each.
        unused: Names that are no weights of the model.
    """

    state: dict[str, torch.Tensor]
    meta: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def unwrap(value: Any, origin: str, average: bool = True) -> Unwrapped:
    """Find the weights in what a file holds.

    mmengine's EMAHook swaps the two sets when it saves: its ``state_dict`` is the average, and its
    ``ema_state_dict`` the weights that were averaged (mmengine 0.10,
    ``EMAHook.before_save_checkpoint``).

    Args:
        value: What was in the file.
        origin: What errors call it.
        average: Of a checkpoint with a moving average, take it; False takes the weights of the last
            step.

    Raises:
        WeightsError: There are no weights in it.
    """
    if not isinstance(value, Mapping) or not value:
        kind = 'nothing' if isinstance(value, Mapping) else type(value).__name__
        raise WeightsError(f'{origin} holds {kind}, not weights by name')
    meta = value.get('meta')
    result = Unwrapped({}, dict(meta) if isinstance(meta, Mapping) else {})
    state = value
    if not _are_weights(value):
        found = [name for name in STATES if _are_weights(value.get(name))]
        if not found:
            keys = ', '.join(sorted(map(str, value))[:SHOWN])
            raise WeightsError(f'{origin} holds no weights by name; its first keys are {keys}')
        chosen = found[0]
        if chosen == 'state_dict' and 'ema_state_dict' in found:
            if average:
                result.notes.append(
                    'state_dict is taken: the moving average, which mmengine saves there'
                )
            else:
                chosen = 'ema_state_dict'
                result.notes.append(
                    'ema_state_dict is taken: the weights of the last step, which mmengine puts '
                    'there when it saves the average'
                )
        elif len(found) > 1:
            result.notes.append(f'{chosen} is taken of {", ".join(found)}')
        state = value[chosen]
        left = sorted(str(name) for name in value if name not in (*STATES, 'meta'))
        if left:
            result.notes.append(f'beside the weights it holds {", ".join(left[:8])}, not used')
    _take(state, result)
    if not result.state:
        raise WeightsError(f'{origin} holds no weights')
    return result


def _are_weights(value: Any) -> bool:
    """Whether tensors by name; a counter or an extra state among them does no harm."""
    if not isinstance(value, Mapping) or not value:
        return False
    tensors = sum(torch.is_tensor(item) for item in value.values())
    return tensors > 0 and tensors >= len(value) // 2 and all(isinstance(k, str) for k in value)


def _take(state: Mapping[str, Any], result: Unwrapped) -> None:
    tensors = {}
    for name, item in state.items():
        if torch.is_tensor(item) and name not in COUNTERS:
            tensors[name] = item
        elif name not in COUNTERS:
            result.unused.append(name)
    stripped = True
    while stripped:
        stripped = False
        for prefix in PREFIXES:
            if tensors and all(name.startswith(prefix) for name in tensors):
                tensors = {name.removeprefix(prefix): item for name, item in tensors.items()}
                result.notes.append(f'the prefix {prefix} was taken off all names')
                stripped = True
    # mmcv 1.x keeps the averages as buffers: ``ema_`` and the name with its dots as underscores.
    buffers = {f'ema_{name.replace(".", "_")}' for name in tensors}
    averages = [name for name in tensors if name in buffers]
    for name in averages:
        tensors.pop(name)
    if averages:
        result.notes.append(
            f'{len(averages)} buffers of mmcv 1.x with the other set of a moving average are not '
            'used: the average was swapped into the weights before they were saved'
        )
        result.unused += averages
    result.state = tensors
