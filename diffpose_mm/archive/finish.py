"""The last step of a video: its stretches become one table, moved into place whole."""

import json
import os
import os.path as osp
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..apis.file_sources import Video
from ..apis.people import Person
from ..apis.records import dicts_to_sample
from ..apis.sink import RunInfo
from ..files import PART, atomic_write, writing
from .engine import Engine
from .plan import Plan
from .stages import read_entries, tracker_of
from .table import TableWriter

ADVICE = 'Nothing of the video is lost; make room and run the same command again'


def joined(engine: Engine, plan: Plan, parts: Sequence[str]) -> Iterator[dict]:
    """The entries of all stretches in order, each frame once; tracks by poses are made here.

    Raises:
        RuntimeError: A frame is missing or there twice.
    """
    expected = plan.first
    tracker = tracker_of(engine.settings) if engine.settings.by_oks and len(parts) > 1 else None
    for part in parts:
        for entry in read_entries(part):
            if entry['frame_id'] != expected:
                raise RuntimeError(f'{part} has frame {entry["frame_id"]}, {expected} was expected')
            expected += 1
            if tracker is not None:
                people = [Person.from_dict(instance) for instance in entry['instances']]
                meta = dict(img_shape=(0, 0))
                size = len(engine.keypoints)
                samples = [dicts_to_sample([i], meta, size) for i in entry['instances']]
                tracker(people, samples)
                for person, instance in zip(people, entry['instances']):
                    instance['track_id'] = person.track_id
            yield entry


def finish_video(
    engine: Engine,
    plan: Plan,
    entries: Iterable[dict],
    parquet: str,
    json_path: str | None,
    work: str,
) -> dict[str, int]:
    """Write a video's table, and JSON, and move them into place, the table last.

    Args:
        engine: For names, and what the poses depend on.
        plan: Of the video.
        entries: Of all frames.
        parquet, json_path: Where they end up; no JSON where that is None.
        work: Folder of what is not complete, on the same disk.

    Returns:
        dict: ``frames``, ``people``, ``faults``.

    Raises:
        OSError: They cannot be written.
    """
    names, entry = engine.keypoints, plan.entry
    source = Video(entry.path)
    source.fps, source.pixel_aspect_ratio = plan.fps, plan.pixel_aspect_ratio  # type: ignore
    links = names.dataset_meta.get('skeleton_links') or ()
    identity = json.loads(json.dumps(dict(engine.identity)))
    info = RunInfo(
        source,
        names.names,
        names.absent,
        [[int(a), int(b)] for a, b in links],
        dict(identity, input=dict(name=source.name, **plan.content)),
    )
    meta = dict(info.meta(), image_size=[plan.width, plan.height])
    shared = dict(
        meta,
        content=plan.content,
        run=identity,
        first_frame=plan.first,
        start=entry.start,
        end=entry.end if entry.end < float('inf') else None,
    )
    counts = dict(frames=0, people=0, faults=0)
    os.makedirs(work, exist_ok=True)
    part = osp.join(work, f'poses.parquet.{os.getpid()}{PART}')
    try:
        with writing(part, ADVICE), _PosesJson(json_path, work, meta, info.identity) as add:
            writer = TableWriter(part, shared, entry.name, entry.camera)
            try:
                for found in entries:
                    writer.write(found)
                    add(found)
                    counts['frames'] += 1
                    counts['people'] += len(found['instances'])
                    counts['faults'] += 'fault' in found
                writer.finish()
            finally:
                writer.close()
        with writing(parquet, ADVICE):
            os.makedirs(osp.dirname(parquet), exist_ok=True)
            os.replace(part, parquet)
            _sync_folder(osp.dirname(parquet))
    finally:
        Path(part).unlink(missing_ok=True)
    return counts


class _PosesJson:
    """Writes the package's JSON of a video entry by entry; see :class:`PredictionLog`."""

    def __init__(self, path: str | None, work: str, meta: dict, identity: dict) -> None:
        self.path, self.meta, self.identity = path, meta, identity
        self.part = osp.join(work, f'poses.json.{os.getpid()}{PART}')
        self.first = True

    def __enter__(self) -> Any:
        if self.path is None:
            return lambda entry: None
        os.makedirs(osp.dirname(self.path), exist_ok=True)
        self._writing = atomic_write(self.path, advice=ADVICE, part=self.part)
        self._file = self._writing.__enter__()
        self._file.write('[')
        return self._add

    def _add(self, entry: dict) -> None:
        line = {k: v for k, v in entry.items() if k not in ('size', 'instances')}
        if entry['size'] not in (None, self.meta['image_size']):
            line['image_size'] = entry['size']
        line['instances'] = entry['instances']
        if self.first:
            line.update(run=self.identity, meta=self.meta)
        self._file.write(('\n  ' if self.first else ',\n  ') + json.dumps(line))
        self.first = False

    def __exit__(self, *error: Any) -> None:
        if self.path is not None:
            if error[0] is None:
                self._file.write('\n]\n')
            self._writing.__exit__(*error)


def _sync_folder(path: str) -> None:
    if os.name == 'posix':
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
