"""Breaks runs over an archive on purpose, and compares the tables with an undisturbed run's.

    python projects/archive/faults.py --out work_dirs/archive_faults [--pool local ray] [FAULT ...]

Exit status 0 if no row was lost, doubled or changed in any of them.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
from digest_engine import pictures, poisoned, write_mp4

HERE = Path(__file__).resolve().parent
LENGTHS = dict(a=600, b=130, c=61, d=260, e=45, f=400)
"""Frames of the videos; a stretch is 48."""
SETTINGS = ('pause=0.02', 'stretch=48', 'workers=2')
FAULTS = ('worker', 'driver', 'disk', 'unreadable', 'poison', 'node')
PATIENCE = 900
"""Seconds, after which a run is held to hang."""


class Driver:
    """A run in a process of its own.

    Args:
        videos, out: Folders.
        pool: 'local' or 'ray'.
        more: Arguments of digest_engine.py.
    """

    def __init__(self, videos, out, pool, *more, address='local'):
        arguments = [*SETTINGS, *more, *([f'ray="{address}"'] if pool == 'ray' else [])]
        paths = [str(HERE.parents[1]), str(HERE), os.environ.get('PYTHONPATH', '')]
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / 'digest_engine.py'), str(videos), str(out), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(paths)),
        )
        self.told = []

    def wait_until_begun(self):
        """Until the workers are being started."""
        for line in self.process.stdout:
            self.told.append(line)
            if line.startswith('begun'):
                return

    def end(self):
        """Wait; gives exit status and the report, or what was said last."""
        told, _ = self.process.communicate(timeout=PATIENCE)
        lines = [*self.told, *told.splitlines()]
        try:
            return self.process.returncode, json.loads(lines[-1])
        except (ValueError, IndexError):
            return self.process.returncode, lines[-1].strip() if lines else ''

    @property
    def running(self):
        """Whether it has not ended."""
        return self.process.poll() is None

    def workers(self):
        """Numbers of its worker processes."""
        children = {}
        for status in Path('/proc').glob('[0-9]*/status'):
            try:
                fields = dict(
                    line.split(':\t', 1)
                    for line in status.read_text().splitlines()
                    if ':\t' in line
                )
                command = status.with_name('cmdline').read_bytes()
            except (OSError, ValueError):
                continue
            children.setdefault(int(fields['PPid']), []).append((int(fields['Pid']), command))
        found, depth, level = [], 0, [self.process.pid]
        while level:
            below = [child for number in level for child in children.get(number, ())]
            # Local workers are copies of the server that forks them; actors say what they are.
            found += [
                number
                for number, command in below
                if command.startswith(b'ray::_Actor') or (depth == 1 and b'forkserver' in command)
            ]
            depth, level = depth + 1, [number for number, _ in below]
        return found


def rows(out):
    """All rows of an archive, by video."""
    return {
        path.parent.name: pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
        for path in sorted(Path(out).glob('poses/*/*.parquet'))
    }


def worker(videos, out, pool):
    """SIGKILL to ten workers at random moments."""
    driver, generator, killed = Driver(videos, out, pool), random.Random(0), 0
    driver.wait_until_begun()
    while driver.running and killed < 10:
        time.sleep(generator.uniform(0.3, 2.5))
        alive = driver.workers()
        if alive:
            try:
                os.kill(generator.choice(alive), signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
    _, report = driver.end()
    return f'{killed} killed, {report["deaths"]} of them at work'


def driver(videos, out, pool):
    """SIGKILL to the main process at random moments, five times, and the same command again."""
    generator, kills = random.Random(1), 0
    while kills < 5:
        run = Driver(videos, out, pool)
        run.wait_until_begun()
        time.sleep(generator.uniform(1, 8) if pool == 'local' else generator.uniform(10, 25))
        if not run.running:
            run.end()
            break
        run.process.kill()
        run.process.communicate()
        kills += 1
    _, report = Driver(videos, out, pool).end()
    return f'{kills} killed; the last run found {report["before"]} videos whole'


def disk(videos, out, pool):
    """No file over 20,000 bytes can be written (EFBIG, as a quota gives), then all can."""
    status, said = Driver(videos, out, pool, 'fsize=20000').end() if pool == 'local' else (0, '')
    if pool == 'ray':
        return None  # the limit is not that of actors
    assert status != 0 and 'File too large' in said, said
    there = len(rows(out))
    _, report = Driver(videos, out, pool).end()
    return f'ended with {there} videos whole, then {report["done"]} done'


def unreadable(videos, out, pool):
    """A file that is no video, and one that is cut in two, among the others."""
    folder = with_others(videos, out)
    (folder / 'x.mp4').write_bytes(b'no video')
    data = (videos / 'a.mp4').read_bytes()
    (folder / 'y.mp4').write_bytes(data[: len(data) // 2])
    _, report = Driver(folder, out, pool).end()
    assert len(report['failed']) == 2, report
    return '2 named, the rest done'


def poison(videos, out, pool):
    """A frame that kills the process that poses it, each time."""
    folder = with_others(videos, out)
    write_mp4(folder / 'x.mp4', poisoned(pictures(200, seed=9), 150), qp=4)
    _, report = Driver(folder, out, pool, 'poison=true').end()
    assert len(report['quarantined']) == 1, report
    assert report['deaths'] == (2 if pool == 'local' else 3), report
    return f'{report["deaths"]} workers died, 1 video quarantined'


def node(videos, out, pool):
    """The second of two nodes of a Ray cluster is killed while its worker works."""
    if pool != 'ray':
        return None
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1))
    second = cluster.add_node(num_cpus=1)
    try:
        cluster.wait_for_nodes()
        run = Driver(videos, out, pool, address=cluster.address)
        run.wait_until_begun()
        while run.running and not list(Path(out).glob('.work/*/pose-*.jsonl')):
            time.sleep(0.1)
        cluster.remove_node(second, allow_graceful=False)
        _, report = run.end()
    finally:
        cluster.shutdown()
    return f'{report["deaths"]} workers died with it'


def with_others(videos, out):
    """A folder of the same videos, for more to come to."""
    folder = Path(f'{out}_videos')
    folder.mkdir()
    for path in videos.glob('*.mp4'):
        (folder / path.name).symlink_to(path)
    return folder


def main(argv=None):
    """Inject the faults, print the table and write it; gives the number of wrong rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('faults', nargs='*', metavar='FAULT', help=', '.join(FAULTS))
    parser.add_argument('--out', required=True)
    parser.add_argument('--pool', nargs='+', choices=['local', 'ray'], default=['local'])
    args = parser.parse_args(argv)
    out = Path(args.out).resolve()
    shutil.rmtree(out, ignore_errors=True)
    videos = out / 'videos'
    videos.mkdir(parents=True)
    for name, count in LENGTHS.items():
        write_mp4(videos / f'{name}.mp4', pictures(count, seed=ord(name)))
    _, report = Driver(videos, out / 'undisturbed', 'local').end()
    expected = rows(out / 'undisturbed')
    total = sum(map(len, expected.values()))
    assert report['done'] == len(LENGTHS) == len(expected), report
    lines = [
        '| fault | workers | what happened | rows | lost | doubled or wrong |',
        '|---|---|---|---:|---:|---:|',
    ]
    wrong = 0
    for pool in args.pool:
        for name in args.faults or FAULTS:
            place = out / f'{name}_{pool}'
            start = time.monotonic()
            happened = globals()[name](videos, place, pool)
            if happened is None:
                continue
            found = rows(place)
            lost = extra = count = 0
            for video in {*expected, *found}:
                left = list(map(repr, expected.get(video, [])))
                for row in map(repr, found.get(video, [])):
                    count += 1
                    if row in left:
                        left.remove(row)
                    else:
                        extra += 1
                lost += len(left)
            wrong += lost + extra
            lines.append(
                f'| `{name}` | {pool} | {happened} | {count} of {total} | {lost} | {extra} |'
            )
            print(lines[-1], f'{time.monotonic() - start:.0f} s', flush=True)
    (out / 'faults.md').write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines))
    return wrong


if __name__ == '__main__':
    sys.exit(bool(main()))
