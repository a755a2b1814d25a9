"""What the tests of archives share: videos, an engine without a network, workers right here."""

from collections import deque
from pathlib import Path

import pyarrow.parquet
from digest_engine import FACTORY, pictures, poisoned, write_mp4

from diffpose_mm.archive.engine import EngineSource
from diffpose_mm.archive.output import Output
from diffpose_mm.archive.run import ArchiveRun
from diffpose_mm.archive.table import read_shared
from diffpose_mm.archive.units import Death, Worker

PROJECT = Path(__file__).resolve().parents[2] / 'projects/archive'

__all__ = ['FACTORY', 'PROJECT', 'pictures', 'poisoned', 'write_mp4']


class InlinePool:
    """One worker, in this process; ``dies`` says at which units it does."""

    kind = 'inline'

    def __init__(self, source, dies=lambda unit: False):
        self.worker, self.dies = Worker(source, {}), dies
        self.done, self._answers = [], deque()

    def __len__(self):
        return 1

    def idle(self):
        return 0 if self._answers else 1

    def give(self, unit):
        if unit is None:
            answer = self.worker.answer_introduction()
        else:
            self.done.append(unit)
            answer = Death() if self.dies(unit) else self.worker(unit)
        self._answers.append((unit, answer))

    def wait(self, timeout):
        return [self._answers.popleft()] if self._answers else []

    def close(self):
        """Nothing is open."""


def run_archive(entries, folder, source=None, pool=None, **options):
    """An archive of entries in a folder by workers in this process; gives its report."""
    pool = pool or InlinePool(source or EngineSource(FACTORY, {}))
    output = Output(str(folder))
    output.open()
    try:
        return ArchiveRun(entries, output, pool, **dict(dict(say=lambda line: None), **options))()
    finally:
        output.close()


def table(folder, key):
    """The rows of a video."""
    path = Output(str(folder)).parquet(key)
    assert read_shared(path) is not None
    return pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
