"""Iteration in a thread of its own, so that reading goes on while something else works."""

import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any


def prefetch(items: Iterable[Any], depth: int = 4) -> Generator[Any, None, None]:
    """Iterate in a thread of its own, at most ``depth`` items ahead; closed with the iterator."""
    waiting: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()

    def put(entry: tuple) -> None:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        # What is iterated over here is closed here: another thread could meet it at work.
        try:
            iterator = iter(items)
            try:
                for item in iterator:
                    put((item, None))
                    if stopped.is_set():
                        return
            finally:
                if isinstance(iterator, Generator):
                    iterator.close()
        except BaseException as error:  # noqa: B902
            put((None, error))
        else:
            put((None, StopIteration()))

    thread = threading.Thread(target=work, daemon=True, name='frames')
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join(timeout=10)
