"""``infer --engine``: a run by an exported model, with the runtime that needs no torch."""

import argparse
import sys
from pathlib import Path
from typing import Any

from diffpose_mm_runtime.__main__ import run
from diffpose_mm_runtime.engines import FORMATS

from .defaults import output_folder

ENGINES = tuple(FORMATS)
TAKEN = (
    *('input', 'engine', 'model', 'boxes', 'out', 'mode', 'streaming', 'batch_size', 'steps'),
    *('hypotheses', 'save_hypotheses', 'no_video', 'no_report', 'traceback', 'precision'),
)


def run_exported(args: argparse.Namespace, defaults: argparse.Namespace) -> dict[str, Any]:
    """Infer as arguments of ``infer`` say.

    Args:
        args: Parsed arguments with an ``engine`` other than torch.
        defaults: Those of a run that asks for nothing.

    Returns:
        dict: ``files`` that were written.

    Raises:
        ValueError: An argument is given that such a run does not take, or there are no boxes.
        FileExistsError: There are predictions of that name already.
        SystemExit: 130 after Ctrl-C; the frames before are kept.
    """
    foreign = [
        name
        for name, value in vars(args).items()
        if name not in TAKEN and value != getattr(defaults, name)
    ]
    if foreign:
        raise ValueError(
            f'--{foreign[0].replace("_", "-")} does not go with --engine {args.engine}: what the '
            'exported model does is in its folder'
        )
    if args.boxes is None:
        raise ValueError(
            f'--engine {args.engine} finds no people by itself: give --boxes FILE, for example the '
            'predictions of another run'
        )
    options = argparse.Namespace(**vars(args))
    options.threads = 0
    options.mode = args.mode or 'offline'
    options.out = Path(args.out or output_folder(args.input, False))
    try:
        return dict(files=[str(run(options))])
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        raise SystemExit(130) from None
