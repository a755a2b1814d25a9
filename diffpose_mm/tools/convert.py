"""Poses in the formats of other tools: ``mim run diffpose_mm convert POSES.json --to NAME ...``."""

import argparse
import os.path as osp
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from diffpose_mm.apis.naming import check_outputs
from diffpose_mm.apis.progress import frame_progress, stage
from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.interchange import POSE_FORMATS, READERS, outputs, read_poses, write_formats
from diffpose_mm.interchange.poses_json import entries_of, table_of
from diffpose_mm.interchange.table import PoseTable
from diffpose_mm.keypoint_sets import KEYPOINT_SETS
from diffpose_mm.smoothing import METHODS, RTS, smooth_predictions


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    formats = '\n'.join(f'  {made.name:15} {made.summary}' for made in POSE_FORMATS.values())
    parser = argparse.ArgumentParser(
        prog='convert',
        description='Write poses of a video in the formats of other tools, or read those back.',
        epilog=f'formats of --to:\n{formats}\nformats of --from: {", ".join(READERS)}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'poses', help='predictions of a video (JSON), the .jsonl of an interrupted run, or --from'
    )
    parser.add_argument(
        '--to', nargs='+', required=True, choices=list(POSE_FORMATS), metavar='NAME',
        help='formats to write, see below',
    )  # fmt: skip
    parser.add_argument(
        '--out', metavar='DIR', help='folder to write to (default: that of the poses)'
    )
    parser.add_argument(
        '--from',
        dest='source',
        choices=list(READERS),
        metavar='NAME',
        help='what the poses are in (default: what the name of the file says)',
    )
    sets = list(KEYPOINT_SETS)
    parser.add_argument(
        '--keypoints', choices=sets, help='the set that the poses are in, if they do not say it'
    )
    parser.add_argument('--to-keypoints', choices=sets, help='the set to write them in')
    parser.add_argument(
        '--fps', type=float, help='frames a second, of poses that have neither rate nor times'
    )
    parser.add_argument(
        '--image-size', type=int, nargs=2, metavar=('W', 'H'), help='if the poses do not say it'
    )
    parser.add_argument(
        '--smooth', choices=list(METHODS), help='make the poses steady over time, as `smooth` does'
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    args = parser.parse_args(argv)
    if args.fps is not None and not args.fps > 0:
        parser.error('--fps must be positive')
    if args.image_size is not None and min(args.image_size) <= 0:
        parser.error('--image-size must be positive')
    return args


def main(argv: Sequence[str] | None = None) -> list[str]:
    """Convert as the command line says; returns the paths written.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Raises:
        SystemExit: With what is wrong with an argument or a file.
    """
    args = parse_args(argv)
    path = args.poses.rstrip('/\\') or args.poses
    folder = args.out or osp.dirname(path) or '.'
    stem = osp.basename(path) if osp.isdir(path) else osp.splitext(osp.basename(path))[0]
    stem = f'{stem}_smooth' if args.smooth else stem
    names = list(dict.fromkeys(args.to))
    with one_line_errors(args.traceback):
        check_outputs(map(str, outputs(names, folder, stem)), [path])
        size = None if args.image_size is None else (args.image_size[0], args.image_size[1])
        with stage(f'reading {path}'):
            table = read_poses(path, args.source, args.keypoints, args.fps, size)
        if args.smooth is not None:
            table = smoothed(table, args.smooth, path)
        if args.to_keypoints is not None:
            table = table.in_set(args.to_keypoints)
        people = 'people without numbers'
        if table.is_tracked:
            people = f'{len(table.tracks)} {"person" if len(table.tracks) == 1 else "people"}'
        print(f'{path}: {len(table.frames)} frames, {len(table)} poses of {people}')
        written = [str(p) for p in write_formats(table, names, folder, stem, stage=stage)]
    print(f'written: {", ".join(written)}')
    return written


def smoothed(table: PoseTable, method: str, path: str) -> PoseTable:
    """Poses made steady, with the defaults of a method; see :func:`smooth_predictions`.

    Args:
        table: The poses.
        method: One of ``METHODS``.
        path: What they were read from.

    Raises:
        ValueError: Names the file, and what cannot be smoothed.
    """
    unscored = not np.isfinite(table.scores).any()
    settings = None
    if unscored:  # a joint without a score would count as not found
        settings = RTS(noise='constant') if method == 'rts' else None
        table = replace(table, scores=np.where(table.present, 1.0, np.nan))
    try:
        with frame_progress('smoothing', None) as advance:
            raw = entries_of(table)
            entries = smooth_predictions(raw, method, settings, advance=advance)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    done = entries[0]['run']['smoothing']
    print(f'{method}, times {done["times"]}; {done.get("filled_joints", 0)} joints filled in gaps')
    table = table_of(iter(entries))
    return replace(table, scores=np.full_like(table.scores, np.nan)) if unscored else table


if __name__ == '__main__':
    main()
