"""A bar on a terminal, lines elsewhere."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mmengine.logging import print_log
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as ProgressTask
from rich.text import Text

LOG_INTERVAL = 30  # seconds between lines on progress, where there is no terminal


@contextmanager
def frame_progress(name: str, count: int | None) -> Iterator[Callable[[], None]]:
    """Show how far a run is.

    Args:
        name: What is worked on.
        count: How many frames there will be, if that is known.

    Yields:
        To be called after each frame.
    """
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        _FramesPerSecond(),
        TextColumn('left'),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        number = bar.add_task(name, total=count)
        (task,) = bar.tasks
        last_line = time.monotonic()

        def advance() -> None:
            nonlocal last_line
            bar.advance(number)
            # A bar that is written to a file is only seen when all is over.
            if not bar.console.is_terminal and time.monotonic() - last_line > LOG_INTERVAL:
                last_line = time.monotonic()
                print_log(
                    f'{name}: {task.completed:.0f} of {task.total or "?"} frames, '
                    f'{frames_per_second(task):.1f} frames/s, '
                    f'{task.time_remaining or 0:.0f} s left',
                    logger='current',
                )

        yield advance


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Show that something whose length nobody knows is still going on.

    Args:
        name: What is done.
    """
    columns = (SpinnerColumn(), TextColumn('{task.description}'), TimeElapsedColumn())
    bar = Progress(*columns, transient=True)
    if bar.console.is_terminal:
        with bar:
            bar.add_task(name, total=None)
            yield
        return
    over = threading.Event()
    start = time.monotonic()

    def tell() -> None:
        while not over.wait(LOG_INTERVAL):
            print_log(f'{name}: {time.monotonic() - start:.0f} s so far', logger='current')

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def frames_per_second(task: ProgressTask) -> float:
    """Since the beginning: frames come in bursts, a batch at a time, which rich's speed is of."""
    return task.completed / max(task.elapsed or 0, 1e-9)


class _FramesPerSecond(ProgressColumn):
    def render(self, task: ProgressTask) -> Text:
        """Frames a second."""
        return Text(f'{frames_per_second(task):.1f} frames/s')
