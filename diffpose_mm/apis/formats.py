"""The table of output formats of predictions."""

import os.path as osp
from collections.abc import Callable, Iterable

from .csv_sink import CSVFiles
from .picture_sinks import PictureJSON
from .prediction_log import PredictionLog
from .sink import RunInfo, Sink


def json_sink(folder: str, info: RunInfo) -> Sink:
    """JSON as mmpose writes it: of a clip one file that can be resumed, else one a picture."""
    if info.source.is_clip:
        return PredictionLog(osp.join(folder, info.stem + '.json'), info)
    return PictureJSON(folder, info)


FORMATS: dict[str, Callable[[str, RunInfo], Sink]] = dict(
    json=json_sink,
    csv=CSVFiles,
)
"""Output formats by name. A new one is a :class:`Sink` made of (folder, info), and a name here."""


def check_formats(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once, in order.

    Raises:
        ValueError: An unknown name.
    """
    names = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names or ()))
    if not names:
        raise ValueError(f'formats is empty: give some of {", ".join(FORMATS)}')
    for name in names:
        if name not in FORMATS:
            raise ValueError(f'format {name!r} has to be one of {", ".join(FORMATS)}')
    return names
