"""Memory and speed of `infer` over the length of a video: a short run beside a long one.

A synthetic clip, played to and fro, is made into a video of each length and given to the command
line, with boxes, as a user would. README.md beside this file holds the results.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from diffpose_mm.synthetic.generate import generate_video

ROOT = Path(__file__).resolve().parents[2]
SCENE = 48  # frames of the clip


def parse_args(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Parse the command line; what it does not know goes to `infer`."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog='Other arguments are those of infer, as --streaming --mode causal.',
    )
    parser.add_argument('--out', required=True, type=Path, help='folder to work in')
    parser.add_argument(
        '--frames', type=int, nargs='+', default=[500, 10000], help='lengths (default: 500 10000)'
    )
    parser.add_argument('--config', default='diffpose_synthetic')
    parser.add_argument(
        '--checkpoint', default=str(ROOT / 'projects/demo/checkpoints/diffpose_synthetic.pth')
    )
    parser.add_argument('--seed', type=int, default=0, help='of the clip')
    parser.add_argument('--people', type=int, default=9, help='at most (default: all)')
    return parser.parse_known_args(argv)


def clip(seed: int, most: int) -> list[tuple]:
    """Frames, the boxes and track numbers of at most `most` people, to and fro."""
    video = generate_video(seed, 'val', 0, (320, 240), SCENE, 'standard')
    there = [
        (
            image,
            [(x, y, x + w, y + h) for x, y, w, h in (a['bbox'] for a in people[:most])],
            [a['track_id'] for a in people[:most]],
        )
        for image, _, people in video
    ]
    return there + there[-2:0:-1]


def write_inputs(folder: Path, frames: list[tuple], count: int) -> tuple[Path, Path]:
    """The video of `count` frames and its boxes."""
    video, boxes = folder / f'{count}.mp4', folder / f'{count}_boxes.json'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'mp4v'), 15, (320, 240))
    entries = []
    for index in range(count):
        image, rects, tracks = frames[index % len(frames)]
        writer.write(image)
        entries.append(dict(bboxes=rects, track_ids=tracks))
    writer.release()
    boxes.write_text(json.dumps(entries))
    return video, boxes


def watch(process: subprocess.Popen, lines: Path) -> Iterator[tuple[int, float, float, float]]:
    """While it runs: frames in the log, seconds, processor seconds, resident MiB."""
    start, ticks = time.perf_counter(), os.sysconf('SC_CLK_TCK')
    page = os.sysconf('SC_PAGE_SIZE') / 2**20
    done, end = -1, 0  # the first line holds no frame
    while process.poll() is None:
        try:
            with open(lines, 'rb') as file:
                file.seek(end)
                new = file.read()
            done, end = done + new.count(b'\n'), end + len(new)
        except FileNotFoundError:
            pass  # not begun, or made into the JSON file and now drawing figures
        fields = Path(f'/proc/{process.pid}/stat').read_text().rpartition(')')[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / ticks
        yield done, time.perf_counter() - start, cpu, int(fields[21]) * page
        time.sleep(1)


def measure(args: argparse.Namespace, more: list[str], frames: list[tuple], count: int) -> dict:
    """One run of `infer` in a process of its own."""
    video, boxes = write_inputs(args.out, frames, count)
    out = args.out / f'{count}'
    command = [
        *(sys.executable, '-m', 'diffpose_mm', 'infer', str(video), '--config', args.config),
        *('--checkpoint', args.checkpoint, '--boxes', str(boxes), '--out', str(out), *more),
    ]
    with open(args.out / f'{count}.log', 'w') as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        seen = list(watch(process, out / 'predictions' / f'{count}.jsonl'))
    if process.returncode or not seen:
        raise SystemExit(f'infer ended with {process.returncode}: see {args.out}/{count}.log')
    written = len(json.loads((out / 'predictions' / f'{count}.json').read_text()))
    assert written == count, f'{written} frames in the predictions of {count}'

    def cost(begin: float, end: float) -> float:
        """Processor milliseconds a frame between two shares of the frames."""
        part = [s for s in seen if begin * count <= s[0] <= end * count]
        # Not the figures that are drawn after the last frame.
        last = next(s for s in part if s[0] == part[-1][0])
        return 1000 * (last[2] - part[0][2]) / max(last[0] - part[0][0], 1)

    return dict(
        frames=count,
        people=sum(len(e['track_ids']) for e in json.loads(boxes.read_text())),
        peak_mib=max(s[3] for s in seen),
        half_mib=max(s[3] for s in seen if s[0] < count / 2),
        first_ms=cost(0.01, 0.25),
        last_ms=cost(0.75, 1),
        seconds=seen[-1][1],
    )


def main(argv: Sequence[str] | None = None) -> list[dict]:
    """Run all lengths and print a table."""
    args, more = parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    frames = clip(args.seed, args.people)
    rows = [measure(args, more, frames, count) for count in args.frames]
    print(
        '| frames | person-frames | peak memory (MiB) | ... in the first half '
        '| processor ms a frame, first quarter | last quarter | s |\n'
        '|---:|---:|---:|---:|---:|---:|---:|'
    )
    for row in rows:
        print(
            '| {frames} | {people} | {peak_mib:.0f} | {half_mib:.0f} | {first_ms:.1f} | '
            '{last_ms:.1f} | {seconds:.0f} |'.format(**row)
        )
    return rows


if __name__ == '__main__':
    main()
