"""A page to look at poses: ``mim run diffpose_mm report POSES.json --video VIDEO``."""

import argparse
import os.path as osp
from collections.abc import Sequence

from diffpose_mm.apis.naming import check_outputs
from diffpose_mm.apis.run_page import write_page
from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.files import prepare_folder
from diffpose_mm.keypoint_sets import KEYPOINT_SETS
from diffpose_mm.report import MAX_MEGABYTES


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='report',
        description='Make one HTML file, which opens offline in any browser, of the poses of a '
        'video: skeletons over the picture, joints over time, the least certain moments.',
    )
    parser.add_argument(
        'poses', help='predictions of a video (JSON), or the .jsonl of an interrupted run'
    )
    parser.add_argument(
        '--video', help='the video that they are of (default: poses without a picture)'
    )
    parser.add_argument(
        '--out', metavar='FILE', help='the page (default: POSES.html beside the predictions)'
    )
    parser.add_argument(
        '--max-size',
        type=float,
        default=MAX_MEGABYTES,
        metavar='MB',
        help='of the page, million bytes; a video that is larger than what the poses leave is '
        'encoded anew, smaller (default: %(default)g)',
    )
    parser.add_argument(
        '--keypoints',
        choices=list(KEYPOINT_SETS),
        help='the set that the poses are in, of a file that does not say it',
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    args = parser.parse_args(argv)
    if not args.max_size > 0:
        parser.error('--max-size must be positive')
    return args


def main(argv: Sequence[str] | None = None) -> str:
    """Make the page; returns its path.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Raises:
        SystemExit: With what is wrong with an argument or a file.
    """
    args = parse_args(argv)
    out = args.out or osp.splitext(args.poses)[0] + '.html'
    with one_line_errors(args.traceback):
        check_outputs([out], [path for path in (args.poses, args.video) if path])
        prepare_folder(osp.dirname(out))
        write_page(args.poses, args.video, out, args.max_size, args.keypoints)
    return out


if __name__ == '__main__':
    main()
