"""Break a training in every way that machines do, and look at what is left of it.

Each fault is injected into a training on a small synthetic data set: by ``mim train diffpose_mm``,
or, sooner under way, by the same tool in a process forked after the imports. README.md says how,
docs/reliability.md what happened.
"""

import argparse
import json
import os
import os.path as osp
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import torch

from diffpose_mm.engine import newest_checkpoint, read_checkpoint
from diffpose_mm.tools import train

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / 'diffpose_synthetic.py'
# Clock times, what names the folder or the machine, and the iteration that was logged last.
CHANGEABLE = (
    'time cfg experiment_name train/time train/data_time val/time val/data_time train/memory '
    'last_ckpt best_ckpt mmengine_version'
).split()


def differences(first: object, second: object, name: str = '') -> list[str]:
    """Names of what differs between two checkpoints, to the bit."""
    if name.rpartition('.')[2] in CHANGEABLE or name == '.message_hub.runtime_info.iter':
        return []
    if type(first) is not type(second):
        return [name]
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return [f'{name}: {sorted(map(str, first.keys() ^ second.keys()))}']
        return [n for key in first for n in differences(first[key], second[key], f'{name}.{key}')]
    if isinstance(first, (list, tuple)):
        if len(first) != len(second):
            return [f'{name}: {len(first)} and {len(second)} items']
        pairs = enumerate(zip(first, second))
        return [n for i, pair in pairs for n in differences(*pair, f'{name}.{i}')]
    if torch.is_tensor(first):
        return [] if torch.equal(first, second) else [name]
    if hasattr(first, 'data') and hasattr(first, 'statistics'):
        # A log history: its values and how many each stands for.
        return differences(*([x.tolist() for x in h.data] for h in (first, second)), name)
    if hasattr(first, 'tolist'):
        first, second = first.tolist(), second.tolist()
    return [] if repr(first) == repr(second) else [name]


class Training:
    """A training in a process group of its own, its output in a file."""

    def __init__(self, arguments: list[str], log: Path, mim: bool) -> None:
        if mim:
            with open(log, 'a') as file:
                self._process = subprocess.Popen(
                    [sys.executable, '-m', 'mim', 'train', 'diffpose_mm', *arguments],
                    cwd=ROOT,
                    env=dict(os.environ, PYTHONPATH=str(Path(__file__).parent)),
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=heed_interrupts,
                )
        else:
            self._process = get_context('fork').Process(target=train_here, args=(arguments, log))
            self._process.start()
        self.pid = self._process.pid

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit status, minus the signal's number if one ended it; None if it runs on."""
        if isinstance(self._process, subprocess.Popen):
            try:
                return self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                return None
        self._process.join(timeout)
        return self._process.exitcode

    def signal(self, number: int) -> int:
        """Send a signal to all processes of the group, as a terminal does; the exit status."""
        os.killpg(self.pid, number)
        return self.wait()

    def processes(self) -> list[int]:
        """Ids of the group's processes, oldest first: (mim,) the training, its workers."""
        command = ['ps', '-o', 'pid=', '-g', str(self.pid)]
        return sorted(map(int, subprocess.run(command, capture_output=True).stdout.split()))

    def seconds(self) -> float:
        """Processor time of the group so far, which no other program on the machine stretches."""
        ticks = 0
        for process in self.processes():
            with suppress(OSError):
                fields = Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()
                # Its own, and that of its children that have ended.
                ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf('SC_CLK_TCK')


def heed_interrupts() -> None:
    """Undo what a shell does to a process in the background, and its children inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def train_here(arguments: list[str], log: Path) -> None:
    """Train in this process."""
    os.setsid()
    heed_interrupts()
    with open(log, 'a') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(ROOT)
    train.main(arguments)


class Bench:
    """The data, the command, and an uninterrupted run to compare with."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.out = Path(args.out).resolve()
        self.out.mkdir(parents=True)
        self.random = random.Random(args.seed)
        self.failed = False
        self.data = args.data_root
        if not self.data:
            self.data = str(self.out / 'data')
            tool = [sys.executable, '-m', 'diffpose_mm', 'synthesize', '--preset', 'smoke']
            tool += ['--out', self.data]
            subprocess.run(tool, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        self._baseline = None

    def start(self, work_dir: Path, *argv: str, hook: str = '', epochs: int = 0) -> Training:
        """Start training, perhaps with a hook of injecting_hooks.py, perhaps for fewer epochs."""
        config = CONFIG
        if hook:
            config = self.out / 'injected.py'
            config.write_text(
                f"_base_ = ['{CONFIG}']\n"
                "custom_imports = dict(imports=['diffpose_mm', 'injecting_hooks'], "
                'allow_failed_imports=False)\n'
                f'custom_hooks = [*_base_.custom_hooks, dict({hook})]\n'
            )
        workers = self.args.workers
        options = [
            f'train_cfg.max_epochs={epochs or self.args.epochs}',
            f'train_cfg.val_interval={self.args.val_interval}',
            'train_dataloader.batch_size=4',
            f'train_dataloader.num_workers={workers}',
            f'train_dataloader.persistent_workers={workers > 0}',
            'train_dataloader.sampler.batch_size=4',
            f'train_dataloader.sampler.num_workers={workers or None}',
            'default_hooks.logger.interval=1',
            'default_hooks.checkpoint.interval=1',
        ]
        if self.args.by_iteration:
            options += [
                'default_hooks.checkpoint.by_epoch=False',
                f'default_hooks.checkpoint.interval={self.args.by_iteration}',
            ]
        arguments = [str(config), '--work-dir', str(work_dir)]
        arguments += ['--data-root', self.data, *argv, '--cfg-options', *options]
        self.log = self.out / f'{work_dir.name}.txt'
        self.log.touch()
        return Training(arguments, self.log, self.args.mim)

    def run(self, work_dir: Path, *argv: str, hook: str = '', epochs: int = 0) -> int:
        """Train to the end; the exit status."""
        return self.start(work_dir, *argv, hook=hook, epochs=epochs).wait()

    def wait_for(self, pattern: str, training: Training) -> None:
        """Wait until the training's output has a match of this pattern."""
        while not re.search(pattern, self.log.read_text()):
            if training.wait(0.05) is not None:
                raise SystemExit(f'the training ended too early: see {self.log}')

    def baseline(self) -> tuple[Path, float, float]:
        """Last checkpoint of an uninterrupted run, its seconds to the first iteration, and all."""
        if self._baseline is None:
            training = self.start(self.out / 'uninterrupted')
            self.wait_for(r'Epoch\(train\)', training)
            startup = seconds = training.seconds()
            while training.wait(0.2) is None:
                seconds = max(seconds, training.seconds())
            if training.wait():
                raise SystemExit(f'the uninterrupted training failed: see {self.log}')
            last = Path((self.out / 'uninterrupted' / 'last_checkpoint').read_text())
            self._baseline = last, startup, seconds
        return self._baseline

    def resumed(self, work_dir: Path) -> str:
        """Resume to the end, and compare the last checkpoint with the uninterrupted run's."""
        status = self.run(work_dir, '--resume')
        reference = self.baseline()[0]
        last = work_dir / reference.name
        found = [f'exit status {status}: see {self.log}'] if status else []
        if last.exists():
            found += differences(read_checkpoint(str(reference)), read_checkpoint(str(last)))
        best = [{p.name for p in d.glob('best_*')} for d in (reference.parent, work_dir)]
        if not last.exists() or best[0] - best[1]:
            found.append(f'{last.name} {last.exists()}, best checkpoints {best}')
        self.failed |= bool(found)
        outcome = f'{len(found)} DIFFERENCES: {found[:5]}' if found else 'bit-identical'
        # A kill between the arrival of a best checkpoint and the removal of the one before.
        old = sorted(best[1] - best[0])
        outcome += f', old files remain: {old}' if old else ''
        return f'resumed: exit status {status}, {last.name} {outcome}'

    def left(self, work_dir: Path) -> str:
        """Read every file under a checkpoint's name; say which one ``--resume`` would take."""
        for path in work_dir.glob('*.pth'):
            read_checkpoint(str(path))
        pointer = work_dir / 'last_checkpoint'
        if pointer.exists():
            read_checkpoint(pointer.read_text())
        newest = newest_checkpoint(str(work_dir))
        parts = [path.name for path in work_dir.glob('*.part')]
        return f'left whole: {osp.basename(newest or "nothing")}' + (
            f', unfinished: {parts}' * bool(parts)
        )

    def last_words(self) -> str:
        """What the training said of its end."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if line.startswith(('error: ', 'interrupted. '))][-1]


def kill(bench: Bench) -> Iterator[str]:
    """SIGKILL to all processes at random moments."""
    _, startup, seconds = bench.baseline()
    work_dir = bench.out / 'kill'
    # On average a little less of the training than is needed to be killed so many times.
    longest = startup + 1.6 * (seconds - startup) / (bench.args.kills + 1)
    for number in range(1, bench.args.kills + 1):
        training, moment = bench.start(work_dir, '--resume'), bench.random.uniform(0, longest)
        while training.wait(0.05) is None and training.seconds() < moment:
            pass
        if training.wait(0) is not None:
            yield f'the training had ended before kill {number}'
            break
        training.signal(signal.SIGKILL)
        yield f'kill {number} after {moment:.1f} s of processor time: {bench.left(work_dir)}'
    yield bench.resumed(work_dir)


def saving(bench: Bench) -> Iterator[str]:
    """SIGKILL at every file operation of the saving of checkpoints, one after the other."""
    bench.baseline()
    work_dir = bench.out / 'saving'
    # To an epoch that is validated anyway: a last epoch always is.
    bench.run(work_dir, epochs=bench.args.val_interval)
    for number in range(bench.args.operations):
        hook = f"type='KillWhileSaving', operation={number}"
        status = bench.run(work_dir, '--resume', hook=hook)
        yield f'at operation {number}: exit status {status}, {bench.left(work_dir)}'
    yield bench.resumed(work_dir)


def nan(bench: Bench) -> Iterator[str]:
    """A NaN in a target."""
    work_dir = bench.out / 'nan'
    status = bench.run(work_dir, hook="type='NaNTarget', epoch=2")
    yield f'exit status {status}: {bench.last_words()}'
    report = json.loads(next(work_dir.glob('*/nonfinite_*.json')).read_text())
    yield f'iteration {report["iteration"]}, first sample {report["samples"][0]}'
    yield bench.left(work_dir)
    yield f'without it {bench.resumed(work_dir)}'


def disk(bench: Bench) -> Iterator[str]:
    """A file system that is full while a checkpoint is written (needs root, for mount)."""
    size = bench.baseline()[0].stat().st_size
    work_dir = bench.out / 'disk'
    work_dir.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={int(2.4 * size)}', 'tmpfs', str(work_dir)]
    subprocess.run(mount, check=True)
    try:
        status = bench.run(work_dir)
        yield f'exit status {status}: {bench.last_words()}'
        yield bench.left(work_dir)
        mount = ['mount', '-o', f'remount,size={20 * size}', str(work_dir)]
        subprocess.run(mount, check=True)
        yield f'with more space {bench.resumed(work_dir)}'
    finally:
        subprocess.run(['umount', str(work_dir)], check=True)


def worker(bench: Bench) -> Iterator[str]:
    """SIGKILL to a data loading process."""
    work_dir = bench.out / 'worker'
    training = bench.start(work_dir)
    bench.wait_for(r'Epoch\(train\) +\[2\]', training)
    os.kill(training.processes()[-1], signal.SIGKILL)
    yield f'exit status {training.wait()}: {bench.last_words()}'
    yield bench.left(work_dir)
    yield bench.resumed(work_dir)


def interrupt(bench: Bench) -> Iterator[str]:
    """Ctrl-C."""
    work_dir = bench.out / 'interrupt'
    training = bench.start(work_dir)
    bench.wait_for(r'Epoch\(train\) +\[2\]', training)
    yield f'exit status {training.signal(signal.SIGINT)}: {bench.last_words()}'
    yield bench.left(work_dir)
    yield bench.resumed(work_dir)


FAULTS = dict(kill=kill, saving=saving, nan=nan, disk=disk, worker=worker, interrupt=interrupt)


def main() -> None:
    """Inject the faults that were asked for, and print a line for each thing that happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('faults', nargs='+', choices=FAULTS)
    parser.add_argument('--out', required=True, help='folder to be made, for data and runs')
    parser.add_argument('--mim', action='store_true', help='through the command, imports and all')
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--operations', type=int, default=16, help='of files, to be killed at')
    parser.add_argument('--epochs', type=int, default=12)
    parser.add_argument('--val-interval', type=int, default=2)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--seed', type=int, default=0, help='of the moments of the kills')
    parser.add_argument('--by-iteration', type=int, help='save every so many iterations')
    parser.add_argument('--data-root', help='instead of a synthetic data set, made first')
    args = parser.parse_args()
    # Forked processes cannot share a pool of threads.
    torch.set_num_threads(1)
    bench = Bench(args)
    for name in args.faults:
        for row in FAULTS[name](bench):
            print(f'{name}: {row}', flush=True)
    raise SystemExit(bench.failed)


if __name__ == '__main__':
    main()
