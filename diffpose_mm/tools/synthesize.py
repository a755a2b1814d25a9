"""Writes the synthetic PoseTrack18: ``mim run diffpose_mm synthesize --out data/synthetic``."""

import argparse
import os
import time

from diffpose_mm.synthetic import DIFFICULTIES, synthesize

# (train videos, val videos, frames a video)
PRESETS = {'smoke': (3, 1, 8), 'demo': (700, 12, 24), 'full': (4000, 166, 24)}


def parse_args(argv=None) -> argparse.Namespace:
    """Reads the command line; a preset fills what is not given."""
    parser = argparse.ArgumentParser(
        description='Write videos of synthetic moving people as PoseTrack18 writes them.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--out', default='data/synthetic', help='root of the data set')
    parser.add_argument(
        '--preset',
        choices=sorted(PRESETS),
        default='demo',
        help='size: smoke 32, demo 17,088, full 99,984 frames',
    )
    parser.add_argument('--train-videos', type=int, help='overrides the preset')
    parser.add_argument('--val-videos', type=int, help='overrides the preset')
    parser.add_argument('--frames', type=int, help='frames a video; overrides the preset')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(320, 240),
        metavar=('WIDTH', 'HEIGHT'),
        help='pixels of a frame',
    )
    parser.add_argument('--seed', type=int, default=0, help='same seed, same bytes')
    parser.add_argument('--difficulty', choices=list(DIFFICULTIES), default='standard')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes')
    parser.add_argument('--jpeg-quality', type=int, default=90, help='1 to 100')
    args = parser.parse_args(argv)
    for name, value in zip(('train_videos', 'val_videos', 'frames'), PRESETS[args.preset]):
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args


def main(argv=None) -> None:
    """Writes the data set and prints how hard it is; exits with a message on bad arguments."""
    args = parse_args(argv)
    start = time.time()
    try:
        manifest = synthesize(
            args.out,
            args.train_videos,
            args.val_videos,
            args.frames,
            tuple(args.size),
            args.seed,
            args.difficulty,
            args.workers,
            args.jpeg_quality,
            progress=True,
        )
    except ValueError as error:
        raise SystemExit(f'synthesize: {error}') from error
    print(f'{args.out}: done in {time.time() - start:.0f} s')
    for split, facts in manifest['statistics'].items():
        line = f'  {split}: {facts["videos"]} videos, {facts["frames"]} frames'
        if facts.get('joints'):
            line += (
                f', {facts["people"]} people, {facts["joints"]} joints: '
                f'{facts["occluded"]:.1%} occluded, {facts["blurred"]:.1%} blurred'
            )
        print(line)


if __name__ == '__main__':
    main()
