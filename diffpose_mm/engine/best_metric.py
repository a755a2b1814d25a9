"""The metric by which the best checkpoint is chosen: its name, and whether more of it is better."""

import re
from collections.abc import Iterable, Sequence

GREATER = {'acc', 'accuracy', 'ap', 'ar', 'auc', 'idf1', 'map', 'mota', 'pck', 'pckh', 'tpck'}
LESS = {'epe', 'error', 'loss', 'mpjpe', 'nme'}
# What 'auto' takes, in this order, of a validation that has several.
MAIN = ('ap', 'map', 'pck', 'auc', 'epe', 'nme', 'mota')


class MetricError(RuntimeError):
    """The metric of ``save_best`` is none that the validation gives."""


def rule_of(metric: str) -> str | None:
    """``'greater'`` or ``'less'``, by the words of a metric's name; None if they do not tell."""
    words = set(re.findall(r'[a-z0-9]+', metric.lower()))
    if words & LESS:
        return 'less'
    return 'greater' if words & GREATER else None


def main_metric(metrics: Iterable[str], rule: str | None = None) -> str | None:
    """The metric that ``save_best='auto'`` means.

    Args:
        metrics: Names, prefixes included.
        rule: That of the config, if it gives one.

    Returns:
        A name of one word in the order of :data:`MAIN` (``posetrack/AP``, not ``posetrack/Head
        AP``), else the first; None where no rule is given and no name tells one.
    """
    ordered = [metric for metric in metrics if rule or rule_of(metric)]
    for name in MAIN:
        for metric in ordered:
            if metric.rpartition('/')[2].lower() == name and rule in (None, rule_of(metric)):
                return metric
    return ordered[0] if ordered else None


def check_metrics(keys: Sequence[str], metrics: Iterable[str]) -> None:
    """Raise unless a validation gave the metrics by which the best checkpoint is chosen.

    Raises:
        MetricError: Names the setting and the metrics that there are.
    """
    for key in keys:
        if key not in metrics:
            raise _error(key, metrics)


def check_prefixes(keys: Sequence[str], prefixes: Sequence[str | None]) -> None:
    """Raise, before any validation, where no metric of the evaluator can be called so.

    Args:
        keys: ``save_best``; ``'auto'`` passes.
        prefixes: Those of the evaluator's metrics; one without can give any name.

    Raises:
        MetricError: All metrics have prefixes, and a key has none of them.
    """
    starts = tuple(f'{prefix}/' for prefix in prefixes)
    for key in keys:
        if key != 'auto' and prefixes and all(prefixes) and not key.startswith(starts):
            raise _error(key, [f'{start}...' for start in starts])


def _error(key: str, names: Iterable[str]) -> MetricError:
    return MetricError(
        f"default_hooks.checkpoint.save_best='{key}' is no metric of the validation, which gives "
        f"{', '.join(names)}: set it to one of these, or to 'auto'"
    )
