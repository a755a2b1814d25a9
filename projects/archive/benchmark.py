"""What an archive costs beside a loop by hand: workers, overhead, memory, Ray.

    python projects/archive/benchmark.py scaling overhead --video walk.mp4 --out work_dirs/a
    python projects/archive/benchmark.py memory --out work_dirs/b
    python projects/archive/benchmark.py ray --seconds 3600 --out work_dirs/c

Each figure is a ratio of times of one run, one measured after the other; on a machine that others
use as well look at processor time (user + system, all processes), which they disturb less.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import av
from digest_engine import pictures, write_mp4

HERE = Path(__file__).resolve().parent

LOOP = """
import sys, time
from diffpose_mm.apis import DiffPoseInferencer
out, streaming, *videos = sys.argv[1:]
inferencer = DiffPoseInferencer(device='cpu', det_model='movenet-multipose')
start = time.process_time()
for video in videos:
    for _ in inferencer(video, pred_out_dir=out, batch_size=8, streaming=bool(int(streaming))):
        pass
print(time.process_time() - start)
"""


def timed(command, **environment):
    """Seconds that a command takes, and what it prints."""
    paths = [str(HERE.parents[1]), str(HERE), os.environ.get('PYTHONPATH', '')]
    told = dict(os.environ, PYTHONPATH=os.pathsep.join(paths), OMP_NUM_THREADS='1', **environment)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, *command], env=told, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return time.monotonic() - start, done.stdout


def short_videos(args, count):
    """A folder of copies of the first frames of a video."""
    folder = Path(args.out, 'videos')
    folder.mkdir(parents=True)
    with av.open(args.video) as container:
        frames = [
            frame.to_ndarray(format='bgr24')
            for _, frame in zip(range(args.frames), container.decode(video=0))
        ]
    for number in range(count):
        write_mp4(folder / f'{number:02d}.mp4', frames, fps=30)
    return folder


def tool(args, folder, name, *more):
    """A command of the tool with the default model."""
    out = Path(args.out, name)
    return [
        *('-m', 'diffpose_mm', 'archive', str(folder), '--out', str(out), '--threads', '1'),
        *('--det-model', 'movenet-multipose', '--device', 'cpu', *more),
    ]


def scaling(args):
    """24 short videos with two workers on two cores over one worker on one core.

    A worker finds people in one thread and poses them in another, so that one worker by itself
    takes more than a core where it may: what is compared has a core for each worker.
    """
    folder = short_videos(args, 24)
    whole, run = {}, {}
    cores = sorted(os.sched_getaffinity(0))
    for workers in (1, 2):
        command = tool(args, folder, f'workers{workers}', '--workers', str(workers))
        os.sched_setaffinity(0, cores[:workers])
        whole[workers] = timed(command)[0]
        os.sched_setaffinity(0, cores)
        report = json.loads(Path(args.out, f'workers{workers}/report.json').read_text())
        run[workers] = report['seconds']
        print(f'{workers} workers: {whole[workers]:.1f} s, run {run[workers]:.1f} s', flush=True)
    return (
        f'24 videos of {args.frames} frames, 1 worker over 2: {run[1] / run[2]:.2f}, '
        f'{whole[1] / whole[2]:.2f} with start-up'
    )


def overhead(args):
    """One worker over a loop by hand, in time of the processor."""
    folder = Path(args.out, 'videos')
    folder = folder if folder.exists() else short_videos(args, 24)
    videos = sorted(map(str, folder.glob('*.mp4')))[:8]
    some = Path(args.out, 'some')
    some.mkdir()
    for video in videos:
        (some / Path(video).name).symlink_to(video)
    # The workers' own sum is compared: they are no children of this process.
    loop = timed(['-c', LOOP, str(Path(args.out, 'loop')), '1', *videos])
    mine = timed(tool(args, some, 'overhead', '--workers', '1'))
    for name, (clock, _) in dict(loop=loop, archive=mine).items():
        print(f'{name}: {clock:.1f} s by the clock, start-up included', flush=True)
    report = json.loads(Path(args.out, 'overhead/report.json').read_text())
    ratio = report['cpu_seconds'] / float(loop[1].split()[-1])
    return (
        f'8 videos of {args.frames} frames, archive over loop: {ratio:.3f} of processor time, '
        f'without start-up; {mine[0] / loop[0]:.3f} by the clock, with it'
    )


def memory(args):
    """The main process and its worker, 1,000 videos over 10, without a network."""
    folder = Path(args.out, 'videos')
    folder.mkdir(parents=True)
    for number in range(10):
        write_mp4(folder / f'{number:04d}.mp4', pictures(11, seed=number))
    found = {}
    for count in (10, 1000):
        for number in range(10, count):
            (folder / f'{number:04d}.mp4').symlink_to(folder / f'{number % 10:04d}.mp4')
        out = str(Path(args.out, str(count)))
        told = timed([str(HERE / 'digest_engine.py'), str(folder), out, 'memory=true'])[1]
        found[count] = [int(value) for value in told.split('\n')[-3].split()]
        print(f'{count} videos: main process and worker {found[count]} MiB', flush=True)
    more = [b - a for a, b in zip(found[10], found[1000])]
    return f'1,000 videos over 10, peaks: main process {more[0]:+} MiB, worker {more[1]:+} MiB'


def ray(args):
    """Ray over the local pool with two workers; a pose takes a fixed time, as on a GPU."""
    folder, short = Path(args.out, 'videos'), Path(args.out, 'short')
    folder.mkdir(parents=True)
    short.mkdir()
    write_mp4(folder / 'long.mp4', pictures(args.seconds * 10), preset='ultrafast')
    for number in range(20):
        write_mp4(short / f'{number}.mp4', pictures(100, seed=number), preset='ultrafast')
    lines = []
    for name, place in (('long', folder), ('short', short)):
        found = {}
        for pool in ('local', 'ray'):
            out = Path(args.out, f'{name}_{pool}')
            options = [f'pause={args.pause}', 'workers=2', 'stretch=2000', 'batch_size=8']
            options += ['ray="local"'] if pool == 'ray' else []
            found[pool] = timed([str(HERE / 'digest_engine.py'), str(place), str(out), *options])[0]
            print(f'{name}, {pool}: {found[pool]:.1f} s', flush=True)
        what = f'{args.seconds} s of video' if name == 'long' else '20 videos of 10 s'
        lines.append(
            f'{what}, Ray over local: {found["ray"] / found["local"]:.2f} '
            f'({found["ray"] - found["local"]:+.0f} s)'
        )
    return '; '.join(lines)


def progress(args):
    """What the first line after a minute says is left, and what it was."""
    folder = Path(args.out, 'steady')
    folder.mkdir(parents=True)
    write_mp4(folder / 'long.mp4', pictures(9000), preset='ultrafast')
    for number in range(10):
        write_mp4(folder / f'{number}.mp4', pictures(300, seed=number), preset='ultrafast')
    command = [str(HERE / 'digest_engine.py'), str(folder), str(Path(args.out, 'steady_out'))]
    command += ['pause=0.02', 'workers=2', 'stretch=1000', 'batch_size=8', 'interval=10']
    paths = [str(HERE.parents[1]), str(HERE), os.environ.get('PYTHONPATH', '')]
    told = dict(os.environ, PYTHONPATH=os.pathsep.join(paths), OMP_NUM_THREADS='1')
    run = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, env=told)
    lines = []
    for line in run.stdout:
        left = re.search(r'([\d.]+) (s|min) left', line)
        if line.startswith('begun'):
            start = time.monotonic()
        elif left:
            seconds = float(left[1]) * (60 if left[2] == 'min' else 1)
            lines.append((time.monotonic() - start, seconds))
            print(f'{lines[-1][0]:.0f} s: {seconds:.0f} s left', flush=True)
    total = json.loads(Path(args.out, 'steady_out/report.json').read_text())['seconds']
    errors = [100 * (at + left - total) / total for at, left in lines if at >= 60]
    return (
        f'time of {total:.0f} s foretold by the first line after a minute: {errors[0]:+.1f} %, '
        f'largest error of all from then on {max(errors, key=abs):+.1f} %'
    )


def main(argv=None):
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument(
        'figures', nargs='+', choices=['scaling', 'overhead', 'memory', 'progress', 'ray']
    )
    parser.add_argument('--out', required=True)
    parser.add_argument('--video', help='of people; its first frames are posed')
    parser.add_argument('--frames', type=int, default=20)
    parser.add_argument('--seconds', type=int, default=3600, help='of the long video, 10 frames/s')
    parser.add_argument('--pause', type=float, default=0.005, help='seconds of a pose, for ray')
    args = parser.parse_args(argv)
    shutil.rmtree(args.out, ignore_errors=True)
    args.out = str(Path(args.out).resolve())
    lines = [globals()[name](args) for name in args.figures]
    print(f'load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors')
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
