"""Workers as processes of this machine."""

import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from mmengine.logging import MMLogger

from .engine import EngineSource
from .units import Death, Unit, Worker

METHOD = 'forkserver' if 'forkserver' in multiprocessing.get_all_start_methods() else 'spawn'
"""One process imports the libraries; workers begin as copies of it, in no time."""
MAX_STARTS = 6
"""Workers in a row that may end before they have begun."""
_BEGUN = 'begun'
"""What a worker says first of all."""


class LocalPool:
    """A pool: it gives units to idle workers, and tells what became of them.

    Args:
        source: Where workers get their engine.
        workers: Arguments of the engine for each worker, as its device.
        threads: Of the processor, for each.

    Attributes:
        kind: For reports.
    """

    kind = 'local'

    def __init__(
        self, source: EngineSource, workers: Sequence[Mapping[str, Any]], threads: int | None
    ) -> None:
        self._context: Any = multiprocessing.get_context(METHOD)
        if METHOD == 'forkserver':
            self._context.set_forkserver_preload(['diffpose_mm.archive.local_pool'])
        self._told = source, threads
        self._workers = [_Process(self._context, source, more, threads) for more in workers]
        self._failed_starts = 0

    def __len__(self) -> int:
        return len(self._workers)

    @property
    def processes(self) -> list[int]:
        """Numbers of the processes."""
        return [worker.process.pid for worker in self._workers]

    def idle(self) -> int:
        """How many workers have nothing to do."""
        return sum(worker.begun and not worker.busy for worker in self._workers)

    def give(self, unit: Unit | None) -> None:
        """Give a unit to an idle worker; None asks it for its engine."""
        next(w for w in self._workers if w.begun and not w.busy).give(unit)

    def wait(self, timeout: float) -> list[tuple[Unit | None, Any]]:
        """What has been answered: pairs of unit and :class:`Answer`, or :class:`Death` of its
        worker.

        Dead workers are replaced.

        Raises:
            ValueError: No worker can begin.
        """
        by_handle: dict[Any, _Process] = {}
        for worker in self._workers:
            by_handle[worker.connection] = worker
        found: list[tuple[Unit | None, Any]] = []
        for handle in wait(list(by_handle), timeout):
            worker = by_handle[handle]
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError):
                answer = None
            if answer == _BEGUN:
                worker.begun, self._failed_starts = True, 0
                continue
            if answer is not None:
                found.append((worker.unit, answer))
                worker.busy = False
                continue
            if worker.busy:
                found.append((worker.unit, Death(worker.crashed())))
            if not worker.begun:
                self._start_failed(worker)
            worker.close()
            place = self._workers.index(worker)
            source, threads = self._told
            self._workers[place] = _Process(self._context, source, worker.more, threads)
        return found

    def _start_failed(self, worker: '_Process') -> None:
        self._failed_starts += 1
        worker.process.join(1.0)
        if self._failed_starts >= MAX_STARTS:
            raise ValueError(
                f'{MAX_STARTS} worker processes in a row ended before they had begun (exit '
                f'status {worker.process.exitcode}). A script that begins an archive is read again '
                "by each of them: all that it does has to stand under `if __name__ == '__main__':`"
            )

    def close(self) -> None:
        """End the workers, at once."""
        for worker in self._workers:
            worker.close()


class _Process:
    def __init__(
        self, context: Any, source: EngineSource, more: Mapping[str, Any], threads: int | None
    ) -> None:
        self.more, self.begun, self.busy, self.unit = more, False, False, None
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_work, args=(theirs, source, dict(more), threads), daemon=True
        )
        self.process.start()
        theirs.close()

    def give(self, unit: Unit | None) -> None:
        self.unit, self.busy = unit, True  # type: ignore[assignment]
        try:
            self.connection.send(unit)
        except OSError:
            pass  # it has died; wait() tells

    def crashed(self) -> bool:
        self.process.join(1.0)
        return self.process.exitcode not in (None, -signal.SIGKILL, -signal.SIGTERM)

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(
    connection: Connection, source: EngineSource, more: Mapping[str, Any], threads: int | None
) -> None:
    """What a worker process does: as it is told, until nobody tells it any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends all
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # What each would say of the model is said by none; warnings and errors come through.
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    units: Any = _Inbox(connection)
    worker = Worker(source, more, threads)
    connection.send(_BEGUN)
    while True:
        unit = units.get()
        connection.send(worker.answer_introduction() if unit is None else worker(unit))


class _Inbox:
    """Reads in a thread, so that the end of the main process ends this one in whatever it does."""

    def __init__(self, connection: Connection) -> None:
        self._queue: Any = queue.Queue()
        self._connection = connection
        self.get = self._queue.get
        threading.Thread(target=self._read, daemon=True, name='inbox').start()

    def _read(self) -> None:
        while True:
            try:
                self._queue.put(self._connection.recv())
            except (EOFError, OSError):
                os._exit(1)


def devices() -> list[str]:
    """The GPUs of this machine, else the CPU."""
    import torch

    return [f'cuda:{i}' for i in range(torch.cuda.device_count())] or ['cpu']
