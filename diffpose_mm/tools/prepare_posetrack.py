"""Converts and checks a download: ``mim run diffpose_mm prepare_posetrack --year 18 ...``."""

import argparse
import sys
from collections.abc import Callable

from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.posetrack import prepare

EXAMPLES = """
examples:
  PoseTrack18 as it was unpacked (posetrack_data/annotations/{train,val}/*.json, images/...):
    mim run diffpose_mm prepare_posetrack --year 18 --src ~/posetrack18 --out data/posetrack18

  annotations and images unpacked in different places; validation only:
    ... --year 18 --src labels --images /disk/posetrack18/images --splits val --out data/posetrack18

  PoseTrack17 (posetrack_data/annotations/{train,val}/*.mat or *.json, posetrack_data/images/...):
    ... --year 17 --src ~/posetrack17 --out data/posetrack17

  PoseTrack21 (posetrack_data/{train,val}/*.json, images/...):
    ... --year 21 --src ~/PoseTrack21 --out data/posetrack21

what is written:
  OUT/annotations/posetrackYEAR_{train,val}.json   what diffpose_posetrackYEAR.py reads
  OUT/images/...                                   links into the download; nothing is copied
  OUT/prepare_report.json                          everything that was found, with its place

The download is only read. The same command can be run again, and gives the same bytes. A split
with a broken annotation file is not written, unless --skip-broken leaves out its video.
Exit status: 0; 1 if something needs attention (the report says what); 2 for a wrong command line.
"""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='prepare_posetrack',
        description='Convert an official PoseTrack download to the COCO-style files that the '
        'configs read, check all of it, and link its images.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--year', type=int, choices=(17, 18, 21), required=True)
    parser.add_argument('--src', required=True, help='folder the download was unpacked in')
    parser.add_argument('--out', required=True, help='folder to write to, the data_root of configs')
    parser.add_argument(
        '--images',
        help='folder "images" of the download, or its parent folder (default: searched for in SRC)',
    )
    parser.add_argument(
        '--splits',
        nargs='+',
        choices=('train', 'val'),
        default=('train', 'val'),
        help='which to convert (default: both)',
    )
    parser.add_argument(
        '--no-links',
        action='store_true',
        help='do not link the images; put them, with their official names, into OUT/images/...',
    )
    parser.add_argument(
        '--skip-broken',
        action='store_true',
        help='leave out videos whose annotation file is broken, and write the others',
    )
    parser.add_argument(
        '--first', type=int, default=3, help='places to print for each finding (default: 3)'
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Convert, check, print the report.

    Raises:
        SystemExit: With 1 if something was found that needs attention.
    """
    args = parse_args(argv)
    with one_line_errors(args.traceback):
        report = prepare(
            args.year,
            args.src,
            args.out,
            images=args.images,
            splits=args.splits,
            link=not args.no_links,
            skip_broken=args.skip_broken,
            progress=_progress() if sys.stderr.isatty() else None,
        )
    print(report.text(args.first))
    written = ', '.join(f'{args.out}/{name}' for name in report.written) or 'no annotation file'
    print(f'written: {written}; all findings with their places: {args.out}/prepare_report.json')
    if report.needs_attention:
        raise SystemExit(1)


def _progress() -> Callable[[str, int, int], None]:
    def show(split: str, done: int, total: int) -> None:
        end = '\n' if done == total else ''
        print(f'\r{split}: {done}/{total} videos', end=end, file=sys.stderr, flush=True)

    return show


if __name__ == '__main__':
    main()
