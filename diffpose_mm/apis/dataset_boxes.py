"""Persons on all frames of a data set: detected in blocks, kept as they come, joined at the end.

A block is a batch of frames, the same ones whichever process detects it. So the result depends
neither on how many processes share the work nor on how often it was interrupted.
"""

import glob
import json
import os
import os.path as osp
from collections.abc import Callable, Iterator, Sequence
from logging import WARNING
from typing import Any

import numpy as np
from mmengine.logging import print_log
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..files import atomic_write, prepare_folder, writing
from ..identity import differences, value_identity
from ..images import read_image
from .people import Person
from .prefetch import prefetch

Block = list[dict]
SHOWN_FILES = 5


def detect_frames(
    frames: Sequence[tuple[Any, str]],
    detect: Callable[[list[np.ndarray]], list[list[Person]]],
    path: str,
    run: dict,
    batch_size: int = 8,
    shard: tuple[int, int] = (0, 1),
    resume: bool = False,
    skip_unreadable: bool = False,
    progress: bool = False,
) -> Block | None:
    """Detect persons and write COCO results.

    Every block of ``batch_size`` frames that is done is a line of ``PATH.I-of-N.jsonl``. The
    process that finds all blocks in such files, of whatever N, writes ``path`` and removes them.

    Args:
        frames: Image id and path of every frame.
        detect: Persons of each of a list of frames, HxWx3 BGR.
        path: The JSON file to write.
        run: What the result depends on; parts of another run are refused.
        batch_size: Frames that are detected together.
        shard: Number of this process, from 0, and how many there are.
        resume: Go on with what is there.
        skip_unreadable: Frames that cannot be read have no persons. Otherwise the batches without
            such a frame are done, and then it is an error.
        progress: Show a bar.

    Returns:
        All detections, or None where other processes are still at work.

    Raises:
        FileExistsError: There is a file, or a part, that ``resume`` would continue.
        ValueError: Unreadable frames, nothing to detect on, or parts of another run.
        OSError: Nothing can be written.
    """
    if not frames:
        raise ValueError('there are no frames to detect persons on')
    index, count = shard
    image_ids = value_identity([image_id for image_id, _ in frames])
    run = dict(run, batch_size=batch_size, frames=len(frames), image_ids=image_ids)
    num_blocks = -(-len(frames) // batch_size)
    own_blocks = range(index, num_blocks, count)
    if osp.exists(path):
        # A process without blocks may come after the others have joined theirs.
        if not resume and own_blocks:
            raise FileExistsError(f'{path} exists already; remove it or write to another file')
        if resume:
            print_log(
                f'{path} is complete already and is left as it is, even if other options made it',
                'current',
                WARNING,
            )
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    own = f'{path}.{index + 1}-of-{count}.jsonl'
    if osp.exists(own) and not resume:
        raise FileExistsError(
            f'{own} is left over from an interrupted run: continue it with --resume, or remove it'
        )
    prepare_folder(osp.dirname(path))
    # Also without resume, so that parts of another run are an error now and not at the end.
    files = [_files_digest(_frames_of(block, frames, batch_size)) for block in range(num_blocks)]
    done = _read_parts(path, run, files, own)
    todo = [block for block in own_blocks if not resume or block not in done]
    columns = TextColumn('frames'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    unreadable = []
    if todo and (not osp.exists(own) or not osp.getsize(own)):
        _append(own, run)
    with Progress(*columns, TimeRemainingColumn(), disable=not progress) as bar:
        task = bar.add_task('', total=sum(len(_frames_of(b, frames, batch_size)) for b in todo))
        for block, entries in prefetch(_read_blocks(todo, frames, batch_size), depth=2):
            bad = [image for _, image in entries if isinstance(image, str)]
            unreadable += bad
            good = [entry for entry in entries if not isinstance(entry[1], str)]
            if not bad or skip_unreadable:
                people = detect([image for _, image in good]) if good else []
                detections = [
                    _as_coco(image_id, person)
                    for (image_id, _), found in zip(good, people, strict=True)
                    for person in found
                ]
                _append(own, dict(block=block, files=files[block], detections=detections))
            bar.advance(task, len(entries))
    if unreadable and not skip_unreadable:
        more = ', ...' if len(unreadable) > SHOWN_FILES else ''
        raise ValueError(
            f'{len(unreadable)} frames cannot be read: '
            f'{", ".join(unreadable[:SHOWN_FILES])}{more}. All other batches of this process are '
            'done: repair these frames and give --resume, or leave them without persons with '
            '--resume --skip-unreadable'
        )
    return _join(path, run, files)


def _files_digest(frames: Sequence[tuple[Any, str]]) -> str:
    """Sizes and times of the files of a block: one that was repaired since is detected anew."""
    stats = []
    for _, path in frames:
        try:
            status = os.stat(path)
            stats.append((status.st_size, status.st_mtime_ns))
        except OSError:
            stats.append((-1, -1))
    return value_identity(stats)


def _append(path: str, entry: dict) -> None:
    with writing(path), open(path, 'a', encoding='utf-8') as file:
        file.write(json.dumps(entry) + '\n')


def _frames_of(block: int, frames: Sequence, batch_size: int) -> Sequence:
    return frames[block * batch_size : (block + 1) * batch_size]


def _read_blocks(
    todo: Sequence[int], frames: Sequence[tuple[Any, str]], batch_size: int
) -> Iterator[tuple[int, list[tuple[Any, np.ndarray | str]]]]:
    """Blocks with their images, or in place of an image what is wrong with it."""
    for block in todo:
        chosen = _frames_of(block, frames, batch_size)
        yield block, [(image_id, _read_image(path)) for image_id, path in chosen]


def _read_image(path: str) -> np.ndarray | str:
    try:
        return read_image(path)
    except (OSError, ValueError) as error:
        return str(error)


def _as_coco(image_id: Any, person: Person) -> dict:
    x1, y1, x2, y2 = person.box.tolist()
    box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
    return dict(image_id=image_id, category_id=1, bbox=box, score=round(person.score, 5))


def _read_parts(
    path: str, run: dict, files: Sequence[str], own: str | None = None
) -> dict[int, Block]:
    """Blocks of all parts whose files are what they were.

    What a kill left unfinished at the end of ``own`` is cut off.
    """
    blocks = {}
    for name in glob.glob(f'{glob.escape(path)}.*-of-*.jsonl'):
        try:
            file = open(name, 'rb+' if name == own else 'rb')
        except FileNotFoundError:  # another process has just joined them
            continue
        with file:
            entries, end = [], 0
            for line in file:
                if not line.endswith(b'\n'):
                    break
                entries.append(json.loads(line))
                end += len(line)
            if name == own:
                file.truncate(end)
        if entries:
            changed = differences(entries[0], json.loads(json.dumps(run)))
            if changed:
                raise ValueError(
                    f'{name} is of another run ({", ".join(changed)}): remove it or write to '
                    'another file'
                )
            blocks.update(
                {
                    entry['block']: entry['detections']
                    for entry in entries[1:]
                    if entry['files'] == files[entry['block']]
                }
            )
    return blocks


def _join(path: str, run: dict, files: Sequence[str]) -> Block | None:
    blocks = _read_parts(path, run, files)
    if len(blocks) < len(files):
        return None
    detections = [det for block in range(len(files)) for det in blocks[block]]
    # Two processes that end together may both come here; they write the same.
    with atomic_write(path) as file:
        file.write('[' + ',\n'.join(map(json.dumps, detections)) + ']\n')
    with writing(path):
        for name in glob.glob(f'{glob.escape(path)}.*-of-*.jsonl'):
            try:
                os.remove(name)
            except FileNotFoundError:
                pass
    return detections
