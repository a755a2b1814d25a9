"""Workers as actors of a Ray cluster. Ray launches them; what is exact and what is kept is ours.

An actor that dies is not restarted, nor its unit retried, by Ray: the run has to know of it. All
nodes have to see the videos and the output under the same paths.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.logging import MMLogger, print_log

from .engine import EngineSource
from .requirements import needed
from .units import Answer, Death, Unit, Worker

MAX_STARTS = 10
"""Actors that end one after the other before any of them is there."""


@dataclass
class _Slot:
    actor: Any
    reference: Any  # of what is waited for, or None
    unit: Unit | None = None
    ready: bool = False


class RayPool:
    """A :class:`.run.Pool` of actors.

    Args:
        source: Where workers get their engine.
        address: Of the cluster: 'auto' for the one that this machine is part of, 'local' to start
            one on this machine.
        workers: How many. Defaults to as many as the cluster has room for.
        threads: Of the processor, for each. Defaults to two, without a GPU to a fair share.
        gpus: Of each worker; 0 runs on the CPU.

    Raises:
        ValueError: The cluster does not answer, or has no room for a single worker.
        ModuleNotFoundError: Ray is missing.
    """

    kind = 'ray'

    def __init__(
        self,
        source: EngineSource,
        address: str,
        workers: int | None = None,
        threads: int | None = None,
        gpus: float = 0,
    ) -> None:
        (self._ray,) = needed('ray')
        self._own = not self._ray.is_initialized()
        if self._own:
            try:
                self._ray.init(
                    address=None if address == 'local' else address,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    include_dashboard=False if address == 'local' else None,
                )
            except (ConnectionError, ValueError) as error:
                raise ValueError(
                    f'--ray {address}: no cluster answers ({" ".join(str(error).split())}); '
                    'begin one with `ray start --head`, or give --ray local'
                ) from error
        room = self._ray.cluster_resources()
        processors = room.get('CPU', 1.0)
        if gpus and room.get('GPU', 0.0) < gpus:
            if self._own:
                self._ray.shutdown()
            raise ValueError(
                f'--gpus-per-model {gpus:g}: the cluster has {room.get("GPU", 0.0):g} GPUs'
            )
        count = workers or max(1, int(room['GPU'] / gpus if gpus else processors // 2))
        self.threads = threads or max(1, int(processors // count) if not gpus else 2)
        # Below all processors: actors that fill a node to the last one may wait for ever.
        share = min(float(self.threads), (processors - 0.5) / count)
        self._options = dict(
            num_cpus=float(int(share)) if share > 1 else max(0.01, share),
            num_gpus=gpus,
            max_restarts=0,
            max_task_retries=0,
        )
        self._told = source, dict(device='cuda' if gpus else 'cpu')
        self._slots = [self._begin() for _ in range(count)]
        self._waited, self._failed_starts, self._closed = 0.0, 0, False

    def __len__(self) -> int:
        return len(self._slots)

    def _begin(self) -> _Slot:
        source, more = self._told
        actor = self._ray.remote(_Actor).options(**self._options).remote(source, more, self.threads)
        return _Slot(actor, actor.ready.remote())

    def idle(self) -> int:
        """How many workers are there and have nothing to do."""
        return sum(slot.ready and slot.reference is None for slot in self._slots)

    def give(self, unit: Unit | None) -> None:
        """Give a unit to an idle worker; None asks it for its engine."""
        slot = next(slot for slot in self._slots if slot.ready and slot.reference is None)
        slot.unit, slot.reference = unit, slot.actor.do.remote(unit)

    def wait(self, timeout: float) -> list[tuple[Unit | None, Any]]:
        """See :meth:`.local_pool.LocalPool.wait`.

        Raises:
            ValueError: No worker can begin.
        """
        waiting = {slot.reference: slot for slot in self._slots if slot.reference is not None}
        if not waiting:
            return []
        ready, _ = self._ray.wait(list(waiting), num_returns=1, timeout=timeout)
        ready, _ = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        self._warn(timeout if not any(slot.ready for slot in self._slots) else 0.0)
        found: list[tuple[Unit | None, Any]] = []
        for reference in ready:
            slot = waiting[reference]
            try:
                answer = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                if slot.ready:
                    found.append((slot.unit, Death()))
                else:
                    self._start_failed(error)
                self._slots[self._slots.index(slot)] = self._begin()
                continue
            slot.reference = None
            if slot.ready:
                found.append((slot.unit, answer))
            slot.ready, self._failed_starts = True, 0
        return found

    def _start_failed(self, error: Exception) -> None:
        self._failed_starts += 1
        if self._failed_starts >= MAX_STARTS:
            raise ValueError(
                f'{MAX_STARTS} workers in a row ended before they had begun: is diffpose_mm '
                f'installed on all nodes? The last one: {" ".join(str(error).split())[:500]}'
            ) from error

    def _warn(self, seconds: float) -> None:
        before, self._waited = self._waited, self._waited + seconds if seconds else 0.0
        if before < 60 <= self._waited:
            print_log(
                f'no worker has begun for a minute: each asks the cluster for {self._options}, '
                f'which has {self._ray.available_resources()} free',
                'current',
                logging.WARNING,
            )

    def close(self) -> None:
        """End the workers, at once; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        for slot in self._slots:
            self._ray.kill(slot.actor)
        if self._own:
            self._ray.shutdown()


class _Actor:
    """A worker on some node."""

    def __init__(self, source: EngineSource, more: Mapping[str, Any], threads: int) -> None:
        MMLogger.get_current_instance().setLevel(logging.WARNING)
        self._worker = Worker(source, more, threads)

    def ready(self) -> bool:
        """Whether it has begun."""
        return True

    def do(self, unit: Unit | None) -> Answer:
        """See :class:`Worker`."""
        if unit is not None:
            return self._worker(unit)
        return self._worker.answer_introduction()
