"""Seconds of functions that take turns, and what must be known of a run to read them."""

import argparse
import contextlib
import math
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
CLOCKS = dict(wall=time.perf_counter, cpu=time.process_time)
AMP = dict(bf16=torch.bfloat16, fp16=torch.float16)


def time_parts(
    parts: dict[str, Callable[[], object]],
    reference: str,
    repeats: int,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
    min_seconds: float = 0.2,
    max_seconds: float = math.inf,
    progress: Callable[[str], None] = lambda line: None,
) -> list[dict[str, float]]:
    """Seconds of each part in each repeat; a repeat times all parts in turn.

    Args:
        parts: Functions without arguments.
        reference: Name of the part that ratios are taken to: timed at both ends of a repeat.
        repeats: Number of repeats.
        device: Waited for, where it works on its own.
        clock: Returns seconds.
        min_seconds: A quicker part is called until it has taken so long.
        max_seconds: No further repeat is started after so long, but three are made.
        progress: Called with a line of text.
    """

    def timed(function: Callable[[], object], loops: int) -> float:
        synchronize(device)
        start = clock()
        for _ in range(loops):
            function()
        synchronize(device)
        return (clock() - start) / loops

    loops = {}
    for name, function in parts.items():
        progress(f'warm-up: {name}')
        loops[name] = 1
        if timed(function, 1) < min_seconds:
            loops[name] = max(1, min(50, round(min_seconds / max(timed(function, 1), 1e-6))))
    results, begin = [], time.perf_counter()
    for i in range(repeats):
        times = {name: timed(function, loops[name]) for name, function in parts.items()}
        again = timed(parts[reference], loops[reference])
        times[reference] = (times[reference] + again) / 2
        results.append(times)
        taken = time.perf_counter() - begin
        progress(f'repeat {i + 1}/{repeats}, {taken:.0f} s')
        if taken > max_seconds and len(results) >= 3:
            break
    return results


def autocast(device: torch.device, amp: str | None) -> contextlib.AbstractContextManager:
    """Autocast of a device in a format of :data:`AMP`, or nothing."""
    return torch.autocast(device.type, AMP[amp]) if amp else contextlib.nullcontext()


def synchronize(device: torch.device) -> None:
    """Wait for a device that works on its own."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def quartiles(values: list[float]) -> tuple[float, float]:
    """First and third quartile."""
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method='inclusive')
    return low, high


def describe_run(args: argparse.Namespace) -> dict:
    """What must be known of a run to read its numbers."""
    commit = subprocess.run(
        ['git', 'log', '-1', '--format=%h'], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if torch.device(args.device).type == 'cuda':
        hardware = torch.cuda.get_device_name(args.device)
    else:
        info = Path('/proc/cpuinfo')
        names = (
            [
                line.split(':')[1].strip()
                for line in info.read_text().splitlines()
                if line.startswith('model name')
            ]
            if info.exists()
            else []
        )
        hardware = f'{os.cpu_count()} cores of {names[0] if names else "an unknown CPU"}'
    return dict(
        date=date.today().isoformat(),
        commit=commit.stdout.strip() or 'unknown',
        hardware=hardware,
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        precision=f'autocast {args.amp}' if args.amp else 'float32',
        compiled=args.compile,
        clock=args.clock,
        load=[round(x, 2) for x in os.getloadavg()],
    )
