"""``python -m diffpose_mm_runtime VIDEO --model DIR --boxes FILE --out DIR``, without torch."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .boxes import GivenBoxes, read_boxes
from .engines import FORMATS, PRECISIONS
from .frames import read_frames
from .poser import ExportedPoser
from .run import FORMAT, infer
from .spread_calibration import spread_identity
from .streaming import StreamingExportedPoser


def _at_least(least: int) -> Callable[[str], int]:
    """What reads a whole number of an argument, for argparse."""

    def whole_number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f'{text} is less than {least}')
        return int(text)

    return whole_number


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='diffpose_mm_runtime',
        description='Poses of people in a video by an exported model; needs no torch.',
    )
    parser.add_argument('input', help='video file, or folder of the frames of one')
    parser.add_argument('--model', required=True, metavar='DIR', help='what export wrote')
    parser.add_argument('--boxes', required=True, metavar='FILE', help='boxes, see infer --help')
    parser.add_argument('--out', required=True, type=Path, metavar='DIR', help='folder to write to')
    parser.add_argument('--engine', choices=list(FORMATS), default='onnxruntime')
    parser.add_argument(
        '--threads', type=_at_least(0), default=0, help='of the engine (default: its own)'
    )
    parser.add_argument(
        '--precision', choices=PRECISIONS, default='float32', help='bfloat16 by OpenVINO alone'
    )
    parser.add_argument('--mode', choices=['offline', 'causal'], default='offline')
    parser.add_argument('--streaming', action='store_true', help='one backbone pass a person-frame')
    parser.add_argument(
        '--batch-size', type=_at_least(1), default=8, help='people in a pass (default: 8)'
    )
    parser.add_argument('--steps', type=int, help="denoising steps (default: the model's)")
    parser.add_argument('--hypotheses', type=int, help="poses of a person (default: the model's)")
    parser.add_argument('--save-hypotheses', action='store_true', help='write every hypothesis')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> Path:
    """Infer as the command line says; returns the file that was written.

    Raises:
        SystemExit: With what is wrong with an argument, an input or a file; 130 after Ctrl-C.
    """
    args = parse_args(argv)
    try:
        return run(args)
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f'error: {error}') from None
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        raise SystemExit(130) from None


def run(args: argparse.Namespace) -> Path:
    """Infer as parsed arguments say; frames are kept line by line until all are there.

    Raises:
        FileExistsError: There are predictions of that name already, or frames of an interrupted
            run. Nothing of them is touched.
        ValueError: An argument, a file or a model cannot be used.
    """
    path = args.out / 'predictions' / f'{_stem(args.input)}.json'
    lines = path.with_name(f'{path.stem}.jsonl')
    for old, kind in ((path, 'predictions'), (lines, 'frames of an interrupted run')):
        if os.path.lexists(old):
            raise FileExistsError(
                f'{old} holds {kind} and is not written over: move it, or give another --out'
            )
    find = GivenBoxes(read_boxes(args.boxes))
    kind_of_poser = StreamingExportedPoser if args.streaming else ExportedPoser
    poser = kind_of_poser(
        args.model,
        args.engine,
        args.threads,
        precision=args.precision,
        sampling_steps=args.steps,
        num_hypotheses=args.hypotheses,
    )
    frames, fps = read_frames(args.input)
    path.parent.mkdir(parents=True, exist_ok=True)
    head = dict(run=_identity(args, poser), meta=_meta(poser, fps))
    entries = infer(poser, frames, find, args.mode, args.batch_size, args.save_hypotheses)
    count = people = 0
    try:
        with open(lines, 'x', encoding='utf-8') as file:
            file.write(json.dumps(head) + '\n')
            for entry in entries:
                file.write(json.dumps(entry) + '\n')
                file.flush()
                count += 1
                people += len(entry['instances'])
                if sys.stderr.isatty():
                    print(f'\r{count} frames, {people} people', end='', file=sys.stderr)
        _finish(lines, path)
    except FileExistsError:
        raise  # another run has begun to write them
    except BaseException:
        if sys.stderr.isatty():
            print(file=sys.stderr)
        if count:
            print(
                f'stopped after {count} frames, which are kept in {lines} (report, smooth and '
                'convert read them)',
                file=sys.stderr,
            )
        else:
            lines.unlink(missing_ok=True)
        raise
    print(f'{count} frames, {people} people; written: {path}')
    return path


def _stem(source: str) -> str:
    """Name of the predictions of an input, also of ``.``."""
    path = Path(os.path.abspath(source))
    return (path.name if path.is_dir() else path.stem) or 'frames'


def _finish(lines: Path, path: Path) -> None:
    """The lines of a run as a list, whose first entry has the header, too."""
    part = path.with_name(f'{path.name}.part')
    with open(lines, encoding='utf-8') as source, open(part, 'w', encoding='utf-8') as target:
        head = json.loads(next(source))
        target.write('[\n  ' + json.dumps({**json.loads(next(source)), **head}))
        for line in source:
            target.write(',\n  ' + line.strip())
        target.write('\n]\n')
    os.replace(part, path)
    lines.unlink()


def _identity(args: argparse.Namespace, poser: ExportedPoser) -> dict[str, Any]:
    """What the predictions depend on."""
    return dict(
        weights=poser.manifest['weights_sha256'],
        engine=args.engine,
        mode=args.mode,
        streaming=args.streaming,
        **({} if args.precision == 'float32' else dict(precision=args.precision)),
        **({} if poser.manifest['precision'] == 'float32' else dict(backbone='int8')),
        **poser.test_cfg,
        **spread_identity(poser.test_cfg['num_hypotheses'], poser.spread_calibration),
    )


def _meta(poser: ExportedPoser, fps: float | None) -> dict[str, Any]:
    return dict(
        format=FORMAT,
        keypoints=poser.manifest['keypoints'],
        skeleton=poser.manifest['skeleton'],
        fps=fps,
        coordinates='pixels of the image as shown, x to the right, y down',
    )


if __name__ == '__main__':
    main()
