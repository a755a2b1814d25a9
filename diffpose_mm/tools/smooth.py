"""Poses of a video made steady: ``mim run diffpose_mm smooth POSES.json --out FILE``."""

import argparse
import dataclasses
import os.path as osp
from collections.abc import Sequence

from diffpose_mm.apis.naming import check_outputs
from diffpose_mm.apis.run_smoothing import write_smoothed
from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.files import prepare_folder
from diffpose_mm.smoothing import METHODS, smoothed_name
from diffpose_mm.smoothing.rts import NOISES
from diffpose_mm.smoothing.smoothed import MAX_GAP

SETTINGS = {
    'rts': ('noise', 'agility', 'sway', 'order'),
    'one-euro': ('min_cutoff', 'beta'),
}
"""Method -> its settings that are options."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='smooth',
        description='Make the poses of a video steady over time. Works on the JSON of infer and on '
        "that of mmpose's own inferencer.",
    )
    parser.add_argument(
        'poses', help='predictions of a video (JSON), or the .jsonl of an interrupted run'
    )
    parser.add_argument(
        '--out', metavar='FILE', help='(default: POSES_smooth.json beside the predictions)'
    )
    parser.add_argument(
        '--method',
        choices=list(METHODS),
        default='rts',
        help='rts looks at the frames before and after and fills gaps; one-euro looks at the '
        'frames before alone (default: rts)',
    )
    parser.add_argument(
        '--max-gap',
        type=int,
        default=MAX_GAP,
        metavar='N',
        help='a person or joint that is missing for more frames in a row begins anew (default: '
        '%(default)s)',
    )
    parser.add_argument(
        '--fps',
        type=float,
        help='frames a second of a file without times (default: what it says, else 25)',
    )
    parser.add_argument(
        '--min-score',
        type=float,
        default=0.0,
        metavar='S',
        help='a joint of this score or less was not found (default: 0)',
    )
    rts = parser.add_argument_group('rts')
    rts.add_argument(
        '--noise',
        choices=NOISES,
        help='what tells how sure a joint is: spread and score (std), score, or nothing (default: '
        'auto, the spread where all people have it)',
    )
    rts.add_argument(
        '--agility', type=float, help='less is smoother, more follows faster (default: 6.5)'
    )
    rts.add_argument(
        '--sway', type=float, help='of the whole person or camera, in sizes of them (default: 0.5)'
    )
    rts.add_argument('--order', type=int, choices=[1, 2], help='of the motion model (default: 1)')
    euro = parser.add_argument_group('one-euro')
    euro.add_argument('--min-cutoff', type=float, help='Hz; less is smoother at rest (default: 4)')
    euro.add_argument(
        '--beta', type=float, help='Hz for one size of the person a second; more follows faster '
        '(default: 10)'
    )  # fmt: skip
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    args = parser.parse_args(argv)
    for method, names in SETTINGS.items():
        for name in names:
            if method != args.method and getattr(args, name) is not None:
                parser.error(f'--{name.replace("_", "-")} goes with --method {method}')
    return args


def main(argv: Sequence[str] | None = None) -> str:
    """Smooth as the command line says; returns the file that was written.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Raises:
        SystemExit: With what is wrong with an argument or a file.
    """
    args = parse_args(argv)
    out = args.out or smoothed_name(args.poses)
    with one_line_errors(args.traceback):
        given = {name: getattr(args, name) for name in SETTINGS[args.method]}
        given = {name: value for name, value in given.items() if value is not None}
        settings = dataclasses.replace(METHODS[args.method](), **given)
        check_outputs([out], [args.poses])
        if osp.isdir(out):
            raise ValueError(f'--out {out} is a folder: name the file in it that is to be written')
        prepare_folder(osp.dirname(out))
        write_smoothed(
            args.poses,
            out,
            args.method,
            settings,
            max_gap=args.max_gap,
            fps=args.fps,
            min_score=args.min_score,
        )
    return out


if __name__ == '__main__':
    main()
