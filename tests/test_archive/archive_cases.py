"""What the tests of archives share: videos, an engine without a network, workers right here."""

import hashlib
import os
import signal
import time
from collections import deque
from fractions import Fraction

import av
import numpy as np

from diffpose_mm.apis.output_keypoints import OutputKeypoints
from diffpose_mm.apis.people import Person
from diffpose_mm.apis.records import dicts_to_sample
from diffpose_mm.archive.engine import Engine, EngineSource, Settings
from diffpose_mm.archive.output import Output
from diffpose_mm.archive.run import ArchiveRun
from diffpose_mm.archive.table import read_shared
from diffpose_mm.archive.units import Answer, Worker

KEYPOINTS = dict(keypoint_id2name={0: 'head', 1: 'hand', 2: 'foot'}, num_keypoints=3)
FAKE = 'archive_cases:fake_engine'


def pictures(count, seed=0, width=96, height=64):
    """Frames in which a square walks over noise that changes, BGR."""
    generator = np.random.default_rng(seed)
    ground = generator.integers(0, 90, (height, width, 3)).astype(np.uint8)
    found = []
    for t in range(count):
        frame = np.roll(ground, t, 1)
        x = (10 + 2 * t) % (width - 24)
        frame[12:50, x : x + 20] = (200, 120 + t % 100, 90)
        found.append(frame)
    return found


def write_mp4(path, frames, codec='libx264', fps=10, **options):
    """A video with B-frames and a keyframe every twelve frames, unless told otherwise."""
    options = {k: str(v) for k, v in dict(dict(g=12, bf=2), **options).items()}
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = Fraction(1, fps)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='bgr24')))
        container.mux(stream.encode())
    return str(path)


class SquareFinder:
    """Finds the square, and in some frames somebody else or nobody."""

    slow = False

    def prepare(self):
        """Nothing to build."""

    def identity(self):
        return dict(kind='square')

    def __call__(self, indices, images):
        return [self.of(index, image) for index, image in zip(indices, images)]

    def of(self, index, image):
        x = (10 + 2 * index) % (image.shape[1] - 24)
        people = [Person(np.array([x, 12, x + 20, 50], np.float32), 0.9)]
        if index % 7 < 3:
            people.append(Person(np.array([60, 5, 90, 60], np.float32), 0.5))
        return [] if index % 23 == 20 else people


class DigestPoser:
    """Poses are made of a digest of the window's pictures: a frame that is another one shows."""

    def __init__(self, poison=False, pause=0.0):
        self.poison, self.pause = poison, pause

    def __call__(self, jobs):
        return [self._pose(window, person) for window, person in jobs]

    def _pose(self, window, person):
        time.sleep(self.pause)
        blue, _, red = window.frame.image[:8, :8].mean((0, 1))
        if self.poison and red > blue + 100:
            os.kill(os.getpid(), signal.SIGKILL)
        digest = hashlib.blake2b(np.asarray(person.box).tobytes(), digest_size=16)
        for frame in window.frames:
            digest.update(np.ascontiguousarray(frame.image))
        values = np.frombuffer(digest.digest(), np.uint8).astype(np.float32) / 7
        instance = dict(
            keypoints=values[:6].reshape(3, 2),
            keypoint_scores=values[6:9] / 40,
            keypoint_std=values[9:15].reshape(3, 2),
            bbox=person.box,
            bbox_score=person.score,
        )
        return dicts_to_sample([instance], dict(img_path=window.frame.name), 3)

    def replay(self, jobs):
        """Nothing is remembered."""


def fake_engine(
    device=None, poison=False, pause=0.0, batch_size=3, offsets=(-2, -1, 0, 1, 2), mode='offline'
):
    """An engine that needs no network, and no time."""
    return Engine(
        Settings(tuple(offsets), mode, batch_size),
        SquareFinder(),
        lambda state: DigestPoser(poison, pause),
        OutputKeypoints(KEYPOINTS),
        dict(kind='fake', mode=mode, batch_size=batch_size),
    )


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
            answer = Answer('done', found=self.worker.introduce())
        else:
            self.done.append(unit)
            answer = None if self.dies(unit) else self.worker(unit)
        self._answers.append((unit, answer))

    def wait(self, timeout):
        return [self._answers.popleft()] if self._answers else []

    def close(self):
        """Nothing is open."""


def run_archive(entries, folder, source=None, pool=None, **options):
    """An archive of entries in a folder by workers in this process; gives its report."""
    pool = pool or InlinePool(source or EngineSource(FAKE, {}))
    output = Output(str(folder))
    output.open()
    try:
        return ArchiveRun(entries, output, pool, **dict(dict(say=lambda line: None), **options))()
    finally:
        output.close()


def table(folder, key):
    """The rows of a video."""
    import pyarrow.parquet as parquet

    path = Output(str(folder)).parquet(key)
    assert read_shared(path) is not None
    return parquet.read_table(path, partitioning=None).to_pylist()


def main(folder, out, *assignments):
    """A run of its own process: ``poison=...`` and the like for the engine, ``fsize=BYTES``."""
    import json
    import resource

    from diffpose_mm.archive.local_pool import LocalPool
    from diffpose_mm.archive.manifest import read_entries
    from diffpose_mm.archive.ray_pool import RayPool

    options = dict(item.split('=', 1) for item in assignments)
    options = {name: json.loads(value) for name, value in options.items()}
    if 'fsize' in options:
        size = options.pop('fsize')
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    workers, address = options.pop('workers', 1), options.pop('ray', None)
    if address is None:
        pool = LocalPool(EngineSource(FAKE, options), [{}] * workers, 1)
    else:
        pool = RayPool(EngineSource(FAKE, options), address, workers, 1)
    report = run_archive(read_entries([folder]), out, pool=pool, stretch=12, say=print)
    print(json.dumps(report.__dict__))


if __name__ == '__main__':
    import sys

    main(*sys.argv[1:])
