"""Random numbers of a data loading process."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import get_rank
from torch.utils.data import get_worker_info

_place: tuple[int, ...] | None = None


@contextmanager
def fixed_draws(*place: int) -> Iterator[None]:
    """Let all that is drawn meanwhile follow from some numbers, in any process.

    Python's and numpy's global generators, torch's of the CPU and every :class:`WorkerGenerator`
    start anew. The global ones are afterwards as they were before.

    Args:
        place: Not negative.
    """
    global _place
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    words = np.random.SeedSequence(place).generate_state(4)
    # A tuple of its own at every call, by which generators know that they start anew.
    before, _place = _place, tuple(list(place))
    try:
        random.seed(int(words[0]))
        np.random.seed(words[1])
        torch.random.default_generator.manual_seed(int(words[2]) << 32 | int(words[3]))
        yield
    finally:
        _place = before
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


class WorkerGenerator:
    """A numpy generator for the process that asks, new in every epoch.

    mmengine seeds numpy's global generator anew, with the same number, whenever it starts a worker,
    so that workers that do not persist draw the same numbers in every epoch. PyTorch's seed of a
    worker differs from epoch to epoch and follows from the main process's seed, so draws are both
    fresh and reproducible.

    Args:
        salt (int): Tells the generators of one process apart.
    """

    def __init__(self, salt: int) -> None:
        self._salt = salt
        self._seed: tuple[int, ...] | None = None
        self._generator: np.random.Generator | None = None

    def __call__(self) -> np.random.Generator:
        """The generator of this process."""
        if _place is not None:
            # The same object: the same numbers asked for once more start anew as well.
            if self._generator is None or self._seed is not _place:
                self._seed = _place
                self._generator = np.random.default_rng([self._salt, *_place])
            return self._generator
        worker = get_worker_info()
        seed = (-1, torch.initial_seed()) if worker is None else (worker.id, worker.seed)
        if self._generator is None or seed != self._seed:
            self._seed = seed
            self._generator = np.random.default_rng([self._salt, get_rank(), seed[1] % 2**63])
        return self._generator
