"""Predictions of a clip as JSON: a line a frame while it runs, so that a kill loses none."""

import json
import logging
import os
import os.path as osp
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from ..files import atomic_write, lock_file, writing
from ..identity import differences
from .records import Result
from .sink import FORMAT, RunInfo, Sink, set_aside


class PredictionLog(Sink):
    """Predictions of a clip on disk, a line a frame, complete up to the last line.

    The first line says what was run. :meth:`finish` turns the lines into mmpose's JSON (a list of
    ``frame_id`` and ``instances``, here with more, and ``run`` and ``meta`` in the first entry)
    and removes them. docs/predictions.md has the fields.

    The constructor only reads. What another input has left under the same name is set aside, and
    so are the lines of an interrupted run, unless this one goes on with them.

    Args:
        path: The JSON file to end up with; the lines stand beside it in ``.jsonl``.
        info: The run; ``resume`` in it continues with the lines, or the finished file, that is
            there.

    Attributes:
        done: Frames that are there already.

    Raises:
        ValueError: ``resume`` with what another run on the same input has left.
    """

    def __init__(self, path: str, info: RunInfo) -> None:
        self.path = path
        self.lines_path = osp.splitext(path)[0] + '.jsonl'
        self.files = [path]
        # As JSON has it, so that it equals what is read back.
        self.run = json.loads(json.dumps(info.identity))
        self.info = info
        self.done = 0
        self._end = 0  # bytes of the lines that stay
        self._restored: list[dict] | None = None  # of a finished file
        self._size: list[int] | None = None
        self._file: Any = None
        self._lock: Any = None
        self._finished = False
        self._aside: list[tuple[str, str]] = []
        # Of what comes and goes nobody can say that it is the same input.
        self._knows_input = info.source.from_disk
        of_other_input = 'does not hold predictions of this input'
        if osp.isfile(self.lines_path):
            with open(self.lines_path, 'rb') as file:
                lock_file(file, self.lines_path)
            if not info.resume:
                self._aside.append((self.lines_path, 'was left by an interrupted run'))
            elif _has_line(self.lines_path):
                header = _first_json(self.lines_path, 0)
                if self._other_input(header, self.lines_path):
                    self._aside.append((self.lines_path, of_other_input))
                else:
                    self.done, self._end = self._recover()
        if osp.isfile(path):
            header = _first_json(path, 1)
            if self._other_input(header, path if info.resume and not self.done else None):
                self._aside.append((path, of_other_input))
            elif info.resume and not osp.isfile(self.lines_path):
                self._restored = self._read_finished()
                self.done = len(self._restored)

    @property
    def replaces_other(self) -> bool:
        """Whether the finished file that is there is of another input, and set aside."""
        return any(path == self.path for path, _ in self._aside)

    def _other_input(self, header: Any, resumed: str | None) -> bool:
        """Whether a file tells of another input. One to go on with has to be a log of ours."""
        run = header.get('run') if isinstance(header, dict) else None
        if not isinstance(run, dict) or not run:
            if resumed is not None:
                raise ValueError(self._foreign(resumed, header))
            return True
        if resumed is not None:
            self._check_format(header, resumed)
        return not self._knows_input or run.get('input') != self.run.get('input')

    @staticmethod
    def _foreign(path: str, header: Any = None) -> str:
        meta = header.get('meta') if isinstance(header, dict) else None
        kind = (meta or header or {}).get('format') if isinstance(header, dict) else None
        if isinstance(kind, str) and kind != FORMAT and kind.startswith(FORMAT[:-1]):
            return f'{path} was written by another version ({kind}); remove it, or do not resume'
        return f'{path} is not a log of this program; remove it, or do not resume'

    def _check(self, before: Any, path: str) -> None:
        if not isinstance(before, dict) or not before:
            raise ValueError(self._foreign(path))
        changed = differences(before, self.run)
        if changed:
            raise ValueError(
                f'{path} is of another run ({", ".join(changed)}): resume with the same '
                'arguments, or without resume to start over'
            )

    def _read_finished(self) -> list[dict]:
        """Take a finished file apart again, so that going on with it does nothing over."""
        try:
            with open(self.path, encoding='utf-8') as file:
                frames = json.load(file)
        except ValueError:
            frames = None
        if not isinstance(frames, list) or not frames:
            raise ValueError(self._foreign(self.path))
        if not all(isinstance(e, dict) and isinstance(e.get('instances'), list) for e in frames):
            raise ValueError(self._foreign(self.path))
        self._check_format(frames[0], self.path)
        self._check(frames[0].pop('run', None), self.path)
        del frames[0]['meta']
        return frames

    def _check_format(self, header: dict, path: str) -> None:
        meta = header.get('meta')
        if not isinstance(meta, dict) or meta.get('format') != FORMAT:
            raise ValueError(self._foreign(path, header))

    def _recover(self) -> tuple[int, int]:
        """Frames and bytes that stay when what is incomplete is cut off."""
        end = frames = 0
        with open(self.lines_path, 'rb') as file:
            for number, line in enumerate(file):
                if not line.endswith(b'\n'):
                    break
                try:
                    entry = json.loads(line)
                except ValueError:
                    entry = None
                if number == 0:
                    if not isinstance(entry, dict):
                        raise ValueError(self._foreign(self.lines_path))
                    self._check_format(entry, self.lines_path)
                    self._check(entry.get('run'), self.lines_path)
                elif not isinstance(entry, dict) or entry.get('frame_id') != frames:
                    break
                elif not isinstance(entry.get('instances'), list):
                    break
                else:
                    frames += 1
                end += len(line)
        return frames, end

    def open(self) -> None:
        """Open the lines, behind those that are there.

        Raises:
            ValueError: Another run writes the same file.
            OSError: The file cannot be written.
        """
        with writing(self.lines_path):
            self._lock = open(self.lines_path, 'ab')
        lock_file(self._lock, self.lines_path)
        for path, why in self._aside:
            if path != self.lines_path:
                set_aside(path, why)
            elif os.path.getsize(path):
                self._lock.close()
                set_aside(path, why)
                self._lock = open(path, 'ab')
                lock_file(self._lock, path)
        if self._restored is not None:
            with writing(self.lines_path), open(self.lines_path, 'w', encoding='utf-8') as file:
                for entry in (self._header(), *self._restored):
                    file.write(json.dumps(entry) + '\n')
            self._restored = None
        elif self._end:
            os.truncate(self.lines_path, self._end)
        with writing(self.lines_path):
            self._file = open(self.lines_path, 'a' if self.done else 'w', encoding='utf-8')
        if not self.done:
            self._write(self._header())

    def _header(self) -> dict:
        return dict(run=self.run, meta=self.info.meta())

    def _write(self, entry: dict) -> None:
        try:
            self._file.write(json.dumps(entry) + '\n')
            self._file.flush()
        except OSError as error:
            raise OSError(
                f'cannot write to {self.lines_path}: {error.strerror or error}. The '
                f'{self.done} frames before are kept there; make room and resume'
            ) from error

    def write(self, result: Result) -> None:
        """Add a frame, and see it to the disk; one that was restored is there already."""
        image = result.frame.image
        size = None if image is None or isinstance(image, str) else [*image.shape[1::-1]]
        self._size = self._size or size
        if result.frame.saved is not None:
            return
        entry = result.frame_info()
        if size is not None and size != self._size:
            entry['image_size'] = size
        entry['instances'] = result.instances(self.info.with_hypotheses)
        self.append(entry)

    def append(self, entry: dict) -> None:
        """Add an entry, and see it to the disk."""
        self._write(entry)
        self.done += 1

    def __iter__(self) -> Iterator[dict]:
        """The frames that are there."""
        if self._restored is not None:
            yield from self._restored
            return
        if not osp.exists(self.lines_path):
            return
        with open(self.lines_path, 'rb') as file:
            next(file, None)
            for line in file:
                yield json.loads(line)

    def restored(self) -> Iterator[dict]:
        """The frames that were there when the log was made."""
        return (entry for _, entry in zip(range(self.done), self)) if self.done else iter(())

    def finish(self) -> None:
        """Write the JSON file and remove the lines; without any frame there is no file."""
        self._flush()
        if not self.done:
            return  # close() removes what holds nothing
        meta = dict(self.info.meta(), image_size=self._size)
        advice = f'All frames are in {self.lines_path}; make room and resume'
        with atomic_write(self.path, advice=advice) as file:
            file.write('[')
            for index, entry in enumerate(self):
                if index == 0:
                    entry.update(run=self.run, meta=meta)
                file.write((',\n  ' if index else '\n  ') + json.dumps(entry))
            file.write('\n]\n')
        os.remove(self.lines_path)
        self._finished = True
        self.close()

    def failed(self) -> None:
        """Say where the frames are."""
        if self.done and not self._finished and osp.exists(self.lines_path):
            print_log(
                f'stopped after {self.done} frames, which are kept in {self.lines_path}: '
                'resume continues from there',
                logger='current',
                level=logging.WARNING,
            )

    def _flush(self) -> None:
        try:
            if self._file is not None:
                self._file.close()
        except OSError:
            # What could not be flushed was reported when it was written.
            pass

    def close(self) -> None:
        """Close the file; the lines stay, if there are any."""
        self._flush()
        if self._lock is not None:
            if not self.done and not self._finished:
                Path(self.lines_path).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None


def _has_line(path: str) -> bool:
    """Whether a log got as far as its first line."""
    with open(path, 'rb') as file:
        return file.readline().endswith(b'\n')


def _first_json(path: str, skipped: int) -> Any:
    """The entry on the first line of a file, or on the second where ``skipped`` is 1."""
    with open(path, 'rb') as file:
        for _ in range(skipped):
            file.readline()
        line = file.readline().strip().rstrip(b',')
    try:
        return json.loads(line)
    except ValueError:
        return None
