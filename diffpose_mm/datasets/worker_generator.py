"""Random numbers of a data loading process."""

import numpy as np
import torch
from mmengine.dist import get_rank
from torch.utils.data import get_worker_info


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
        self._seed: tuple[int, int] | None = None
        self._generator: np.random.Generator | None = None

    def __call__(self) -> np.random.Generator:
        """The generator of this process."""
        worker = get_worker_info()
        seed = (-1, torch.initial_seed()) if worker is None else (worker.id, worker.seed)
        if self._generator is None or seed != self._seed:
            self._seed = seed
            self._generator = np.random.default_rng([self._salt, get_rank(), seed[1] % 2**63])
        return self._generator
