"""Weights and the model that they are for: how many of the model's they fill, and what is left."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

SHOWN_KEYS = 5
COUNTER = 'num_batches_tracked'


@dataclass(frozen=True)
class Fit:
    """What became of some weights in a model.

    Attributes:
        parts: Name of a part of the model (backbone, neck, head; '' where it is one) -> how many of
            its weights were taken, and how many it has. A weight is a tensor of the state dict;
            batch counters of BatchNorm are not counted.
        given: Number of weights that there were.
        missing: Weights of the model that were not given, each with its shape.
        unexpected: Weights that the model has no place for, each with its shape.
        reshaped: Weights of another shape than the model's, with both shapes.
        fault: Why the model would not take any, in its own words, or ''.
    """

    parts: dict[str, tuple[int, int]]
    given: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()
    fault: str = ''

    @property
    def taken(self) -> int:
        """How many of the model's weights were filled."""
        return sum(taken for taken, _ in self.parts.values())

    @property
    def total(self) -> int:
        """How many weights the model has."""
        return sum(total for _, total in self.parts.values())

    @property
    def few(self) -> bool:
        """Whether neither half of the model nor half of what was given was used."""
        return not self.taken or 2 * self.taken < min(self.total, self.given)

    def halves(self) -> list[str]:
        """The parts that were filled neither wholly nor not at all."""
        return [name for name, (taken, total) in self.parts.items() if 0 < taken < total]

    def sentence(self) -> str:
        """The numbers, as '148 of 213 weights taken (backbone 148 of 148, neck 0 of 65)'."""
        text = f'{self.taken} of {self.total} weights taken'
        if len(self.parts) > 1 and self.taken < self.total:
            shares = (f'{name} {taken} of {total}' for name, (taken, total) in self.parts.items())
            text += f' ({", ".join(shares)})'
        return text

    def differences(self) -> str:
        """The names of what differs, a line for each kind; '' if nothing does."""
        lines = []
        for title, keys in (
            ('only in the model', self.missing),
            ('only in the checkpoint', self.unexpected),
            ('of another shape', self.reshaped),
        ):
            if keys:
                more = '; ...' if len(keys) > SHOWN_KEYS else ''
                lines.append(f'\n  {title} ({len(keys)}): ' + '; '.join(keys[:SHOWN_KEYS]) + more)
        if self.fault:
            lines.append(f'\n  {self.fault}')
        return ''.join(lines)


def fit_weights(module: nn.Module, weights: Mapping[str, Tensor], anew: Sequence[str] = ()) -> Fit:
    """Load weights into a model and say what became of them.

    What the model itself adapts at load is taken: position embeddings of another input size, a neck
    of one frame for several.

    Args:
        module: A model, in a wrapper of distributed training or not, or a part of one. If it has a
            ``backbone``, its parts are its children.
        weights: By name. They are not changed.
        anew: Names, or beginnings of names, that do not count: they are to be left as they are.
    """
    module = getattr(module, 'module', module)
    own = {
        key: value
        for key, value in without(module.state_dict(), anew).items()
        if not key.endswith(COUNTER)
    }
    given = without(weights, anew)
    names = {key for key in given if not key.endswith(COUNTER)}
    reshaped: list[str] = []
    fault = ''
    left, unexpected = set(own), names - set(own)
    for _ in range(2):
        try:
            result = module.load_state_dict(
                {key: value for key, value in given.items() if key not in reshaped}, strict=False
            )
        except (RuntimeError, AssertionError, ValueError) as error:
            message = str(error)
            found = [key for key in own if f'size mismatch for {key}:' in message]
            if not found or reshaped:
                fault = message.strip().splitlines()[-1].strip() or type(error).__name__
                break
            reshaped = found
        else:
            left = set(result.missing_keys) & set(own)
            unexpected = set(result.unexpected_keys) & names
            break
    parts: dict[str, list[int]] = {}
    for key in own:
        counts = parts.setdefault(
            key.partition('.')[0] if hasattr(module, 'backbone') else '', [0, 0]
        )
        counts[0] += key not in left
        counts[1] += 1
    return Fit(
        parts={name: (taken, total) for name, (taken, total) in parts.items()},
        given=len(names),
        missing=_shown(own, left - set(reshaped)),
        unexpected=_shown(given, unexpected),
        reshaped=tuple(
            f'{key} {tuple(given[key].shape)} in the checkpoint, {tuple(own[key].shape)} in the '
            'model'
            for key in reshaped
        ),
        fault=fault,
    )


def without(weights: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The weights but those whose names are, or begin with, one of ``names``."""
    starts = tuple(f'{name.rstrip(".")}.' for name in names)
    return {key: value for key, value in weights.items() if not f'{key}.'.startswith(starts)}


def _shown(weights: Mapping[str, Tensor], names: Iterable[str]) -> tuple[str, ...]:
    """Names with shapes, in the order of the model or checkpoint."""
    names = set(names)
    return tuple(f'{key} {tuple(value.shape)}' for key, value in weights.items() if key in names)
