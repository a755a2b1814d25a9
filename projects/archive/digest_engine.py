"""Videos, and an engine that poses them without a network: what faults and the suite run on.

A pose is a digest of the pictures, boxes and tracks that the poser is given, so a frame that is
another one, or a window that is cut short, shows in the table.

    python projects/archive/digest_engine.py FOLDER OUT [NAME=VALUE ...]
"""

import hashlib
import json
import os
import re
import resource
import signal
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from diffpose_mm.apis.output_keypoints import OutputKeypoints
from diffpose_mm.apis.people import Person
from diffpose_mm.apis.records import dicts_to_sample
from diffpose_mm.archive.engine import Engine, EngineSource, Settings
from diffpose_mm.archive.local_pool import LocalPool
from diffpose_mm.archive.manifest import read_entries
from diffpose_mm.archive.output import Output
from diffpose_mm.archive.ray_pool import RayPool
from diffpose_mm.archive.run import ArchiveRun

KEYPOINTS = dict(keypoint_id2name={0: 'head', 1: 'hand', 2: 'foot'}, num_keypoints=3)
FACTORY = 'digest_engine:digest_engine'


def pictures(count, seed=0, width=96, height=64):
    """Frames in which a square walks over noise that changes, BGR."""
    generator = np.random.default_rng(seed)
    ground = generator.integers(0, 90, (height, width, 3)).astype(np.uint8)
    for t in range(count):
        frame = np.roll(ground, t, 1)
        x = (10 + 2 * t) % (width - 24)
        frame[12:50, x : x + 20] = (200, 120 + t % 100, 90)
        yield frame


def poisoned(frames, number):
    """Frames, the one of that number with a red corner, which kills the poser that is to."""
    for index, frame in enumerate(frames):
        if index == number:
            frame[:16, :16] = (0, 0, 255)
        yield frame


def write_mp4(path, frames, codec='libx264', fps=10, **options):
    """A video with B-frames and a keyframe every twelve frames, unless told otherwise."""
    options = {k: str(v) for k, v in dict(dict(g=12, bf=2), **options).items()}
    with av.open(str(path), 'w') as container:
        stream = None
        for frame in frames:
            if stream is None:
                stream = container.add_stream(codec, rate=fps, options=options)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = 'yuv420p'
                stream.codec_context.time_base = Fraction(1, fps)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='bgr24')))
        container.mux(stream.encode())
    return str(path)


class SquareFinder:
    """Finds the square, and in some frames somebody else or nobody."""

    slow = False

    def prepare(self):
        """Nothing to build."""

    def identity(self):
        """See PeopleFinder."""
        return dict(kind='square')

    def __call__(self, indices, images):
        """See PeopleFinder."""
        return [self.of(index, image) for index, image in zip(indices, images)]

    def of(self, index, image):
        """The people of a frame."""
        x = (10 + 2 * index) % (image.shape[1] - 24)
        people = [Person(np.array([x, 12, x + 20, 50], np.float32), 0.9)]
        if index % 7 < 3:
            people.append(Person(np.array([60, 5, 90, 60], np.float32), 0.5))
        return [] if index % 23 == 20 else people


class DigestPoser:
    """Makes poses of a digest of what it is given.

    Args:
        poison: Whether a frame with a red corner kills the process.
        pause: Seconds that a pose takes.
    """

    def __init__(self, poison=False, pause=0.0):
        self.poison, self.pause = poison, pause

    def __call__(self, jobs):
        """See Poser."""
        return [self._pose(window, person) for window, person in jobs]

    def _pose(self, window, person):
        time.sleep(self.pause)
        blue, _, red = window.frame.image[:8, :8].mean((0, 1))
        if self.poison and red > blue + 100:
            os.kill(os.getpid(), signal.SIGSEGV)
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


def digest_engine(device=None, poison=False, pause=0.0, batch_size=3, mode='offline'):
    """An engine that needs no network, and no time."""
    return Engine(
        Settings((-2, -1, 0, 1, 2), mode, batch_size),
        SquareFinder(),
        lambda state: DigestPoser(poison, pause),
        OutputKeypoints(KEYPOINTS),
        dict(kind='digest', mode=mode, batch_size=batch_size),
    )


def main(folder, out, *assignments):
    """A run; prints its report as JSON in the last line.

    Args:
        folder: Of the videos.
        out: Output.
        *assignments: ``workers=2``, ``stretch=12``, ``ray="local"``, ``fsize=BYTES`` (the largest
            file that may be written), ``memory=true`` (print peaks), and arguments of
            :func:`digest_engine`; values are JSON.
    """
    options = dict(item.split('=', 1) for item in assignments)
    options = {name: json.loads(value) for name, value in options.items()}
    if 'fsize' in options:
        size = options.pop('fsize')
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    workers, stretch = options.pop('workers', 1), options.pop('stretch', 12)
    interval, memory = options.pop('interval', 30), options.pop('memory', False)
    address, source = options.pop('ray', None), EngineSource(FACTORY, options)
    output = Output(out)
    output.open()
    if address is None:
        pool = LocalPool(source, [{}] * workers, 1)
    else:
        pool = RayPool(source, address, workers, 1)
    print('begun', flush=True)
    run = ArchiveRun(
        read_entries([folder]),
        output,
        pool,
        stretch,
        say=lambda line: print(line, flush=True),
        interval=interval,
    )
    if memory:
        close = pool.close
        pool.close = lambda: (print(*map(peak, [os.getpid(), *pool.processes])), close())
    print(json.dumps(run().__dict__), flush=True)
    return run


def peak(process):
    """The most memory that a process has held, MiB."""
    status = Path(f'/proc/{process}/status').read_text()
    return int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) // 1024


if __name__ == '__main__':
    main(*sys.argv[1:])
