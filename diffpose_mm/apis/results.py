"""Predictions as the user gets and keeps them: dicts, JSON lines that survive a kill, videos."""

import json
import logging
import os
import os.path as osp
import queue
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample, split_instances

from ..files import atomic_write

FORMAT = 'diffpose_mm predictions 1'
CONTAINERS = ('.mp4', '.m4v', '.mov', '.mkv', '.avi')
LEAST_ROOM = 1 << 16  # bytes; below it a disk is full
PER_INSTANCE = dict(track_id='track_ids', keypoint_std='keypoint_std')
HYPOTHESES = dict(hypotheses='hypotheses', hypothesis_scores='hypothesis_scores')


def instances_to_dicts(instances: InstanceData, with_hypotheses: bool = False) -> list[dict]:
    """One dict a person: mmpose's fields, ``track_id``, ``keypoint_std`` and the hypotheses.

    All coordinates and deviations are in image pixels. ``bbox`` is a list of one box, as mmpose
    has it.
    """
    dicts = split_instances(instances)
    fields = {**PER_INSTANCE, **HYPOTHESES} if with_hypotheses else PER_INSTANCE
    for index, result in enumerate(dicts):
        if 'bbox_score' in result:
            result['bbox_score'] = float(result['bbox_score'])
        for name, source in fields.items():
            if source in instances:
                result[name] = np.asarray(instances[source][index]).tolist()
    return dicts


def dicts_to_sample(dicts: list[dict], metainfo: dict, num_keypoints: int) -> PoseDataSample:
    """The inverse of :func:`instances_to_dicts`, also for nobody."""
    count = len(dicts)
    fields = {
        'keypoints': ('keypoints', (num_keypoints, 2)),
        'keypoint_scores': ('keypoint_scores', (num_keypoints,)),
        'keypoint_std': ('keypoint_std', (num_keypoints, 2)),
        'bbox': ('bboxes', (4,)),
        'bbox_score': ('bbox_scores', ()),
        'track_id': ('track_ids', ()),
        **{name: (source, None) for name, source in HYPOTHESES.items()},
    }
    instances = InstanceData()
    for name, (source, shape) in fields.items():
        if not all(name in result for result in dicts) or (shape is None and not dicts):
            continue
        kind = np.int64 if name == 'track_id' else np.float32
        values = np.array([result[name] for result in dicts], dtype=kind)
        instances.set_field(values if shape is None else values.reshape(count, *shape), source)
    instances.set_field(instances.keypoint_scores, 'keypoints_visible')
    return PoseDataSample(metainfo=metainfo, pred_instances=instances)


class PredictionLog:
    """Predictions of a video on disk, a line a frame, complete up to the last line.

    The first line says what was run. :meth:`finish` turns the lines into mmpose's JSON (a list of
    ``frame_id`` and ``instances``, here also ``frames_used``, and ``run`` in the first entry) and
    removes them.

    Args:
        path: The JSON file to end up with; the lines stand beside it in ``.jsonl``.
        run: What identifies the run: a log of another run is refused.
        resume: Continue with the lines that are there. Defaults to False: they are set aside as
            ``.jsonl.old``.

    Raises:
        ValueError: ``resume`` with the lines of another run.
        OSError: The file cannot be written.
    """

    def __init__(self, path: str, run: dict, resume: bool = False) -> None:
        self.path = path
        self.lines_path = osp.splitext(path)[0] + '.jsonl'
        self.run = run
        self.done = 0
        if resume and not osp.exists(self.lines_path) and osp.isfile(path):
            self._reopen(run)
        if resume and osp.exists(self.lines_path):
            self.done = self._recover(run)
        elif osp.isfile(self.lines_path):
            old = self.lines_path + '.old'
            os.replace(self.lines_path, old)
            print_log(
                f'{self.lines_path} was left by an interrupted run; it is now {old}',
                logger='current',
                level=logging.WARNING,
            )
        self._file = open(self.lines_path, 'a' if self.done else 'w', encoding='utf-8')
        if not self.done:
            self._write(dict(format=FORMAT, run=run))

    def _reopen(self, run: dict) -> None:
        """Take a finished file apart again, so that going on with it does nothing over."""
        try:
            with open(self.path, encoding='utf-8') as file:
                frames = json.load(file)
        except ValueError:
            frames = None
        if not isinstance(frames, list) or not all(isinstance(entry, dict) for entry in frames):
            raise ValueError(self._foreign(self.path))
        before = frames[0].pop('run', None) if frames else run
        self._check(dict(format=FORMAT, run=before), run, self.path)
        with atomic_write(self.lines_path) as file:
            for entry in (dict(format=FORMAT, run=before), *frames):
                file.write(json.dumps(entry) + '\n')

    def _recover(self, run: dict) -> int:
        """Cut off what is incomplete; returns the number of frames that stay."""
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
                    self._check(entry, run, self.lines_path)
                elif not isinstance(entry, dict) or entry.get('frame_id') != frames:
                    break
                else:
                    frames += 1
                end += len(line)
        os.truncate(self.lines_path, end)
        return frames

    @staticmethod
    def _foreign(path: str) -> str:
        return f'{path} is not a log of this program; remove it, or do not resume'

    def _check(self, entry: Any, run: dict, path: str) -> None:
        known = isinstance(entry, dict) and entry.get('format') == FORMAT
        if not known or not isinstance(entry.get('run'), dict) or not entry['run']:
            raise ValueError(self._foreign(path))
        before, now = entry['run'], json.loads(json.dumps(run))
        changed = [k for k in sorted({*before, *now}) if before.get(k) != now.get(k)]
        if changed:
            what = ', '.join(f'{k}: {before.get(k)!r} then, {now.get(k)!r} now' for k in changed)
            raise ValueError(
                f'{path} is of another run ({what}): resume with the same arguments, or '
                'without resume to start over'
            )

    def _write(self, entry: dict) -> None:
        try:
            self._file.write(json.dumps(entry) + '\n')
            self._file.flush()
        except OSError as error:
            raise OSError(
                f'cannot write to {self.lines_path}: {error.strerror or error}. The '
                f'{self.done} frames before are kept there; make room and resume'
            ) from error

    def append(self, entry: dict) -> None:
        """Add a frame, and see it to the disk."""
        self._write(entry)
        self.done += 1

    def __iter__(self) -> Iterator[dict]:
        """The frames that were there when the log was opened."""
        if not osp.exists(self.lines_path):
            return
        with open(self.lines_path, encoding='utf-8') as file:
            next(file, None)
            for line in file:
                yield json.loads(line)

    def finish(self) -> None:
        """Write the JSON file and remove the lines."""
        self.close()
        advice = f'All frames are in {self.lines_path}; make room and resume'
        with atomic_write(self.path, advice=advice) as file:
            file.write('[')
            for index, entry in enumerate(self):
                if index == 0:
                    entry['run'] = self.run
                file.write((',\n  ' if index else '\n  ') + json.dumps(entry))
            file.write('\n]\n')
        os.remove(self.lines_path)

    def close(self) -> None:
        """Close the file; the lines stay."""
        try:
            self._file.close()
        except OSError:
            # What could not be flushed was reported when it was written.
            pass


class VideoFile:
    """A video that is encoded in a thread of its own.

    OpenCV does not say when a frame could not be written: room on the disk is watched meanwhile,
    and the last frame is read back at the end.

    Args:
        path: File to write; its folder exists. A container that OpenCV cannot write becomes .mp4.
        fps: Frames a second.

    Raises:
        OSError: It cannot be written: at the first frame, or as soon as it is noticed.
    """

    def __init__(self, path: str, fps: float) -> None:
        stem, suffix = osp.splitext(path)
        self.path = path if suffix.lower() in CONTAINERS else stem + '.mp4'
        self.fps = fps
        self.size: tuple[int, int] | None = None
        self.frames = 0
        self._error: Exception | None = None
        self._writer: Any = None
        self._waiting: queue.Queue = queue.Queue(8)
        self._thread: threading.Thread | None = None

    def write(self, frame: np.ndarray) -> None:
        """Add a BGR frame; one of another size than the first is fitted into its size."""
        size = (frame.shape[1], frame.shape[0])
        if self._writer is None:
            self.size = size
            self._writer = cv2.VideoWriter(
                self.path, cv2.VideoWriter_fourcc(*self._codec()), self.fps, size
            )
            if not self._writer.isOpened():
                raise OSError(f'video {self.path} cannot be written: no permission, or no codec')
            self._thread = threading.Thread(target=self._work, daemon=True, name='video')
            self._thread.start()
        elif size != self.size:
            frame = self._fitted(frame)
        if self._error is not None:
            raise OSError(f'cannot write video {self.path}: {self._error}') from self._error
        self._waiting.put(frame)
        self.frames += 1

    def _codec(self) -> str:
        return 'MJPG' if self.path.lower().endswith('.avi') else 'mp4v'

    def _fitted(self, frame: np.ndarray) -> np.ndarray:
        width, height = self.size
        ratio = min(width / frame.shape[1], height / frame.shape[0])
        small = cv2.resize(
            frame,
            (max(round(frame.shape[1] * ratio), 1), max(round(frame.shape[0] * ratio), 1)),
            interpolation=cv2.INTER_AREA,
        )
        fitted = np.zeros((height, width, 3), np.uint8)
        fitted[: small.shape[0], : small.shape[1]] = small[:height, :width]
        return fitted

    def _work(self) -> None:
        # Frames are taken even after an error: nobody would, and write() would wait for ever.
        while (frame := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    self._write(frame)
                except Exception as error:
                    self._error = error

    def _write(self, frame: np.ndarray) -> None:
        self._writer.write(frame)
        if shutil.disk_usage(osp.dirname(self.path) or '.').free < LEAST_ROOM:
            raise OSError('No space left on device; make room')

    def close(self) -> None:
        """Wait for the frames that are out, and complete the file.

        Raises:
            OSError: Not all frames can be read back.
        """
        if self._writer is None:
            return
        self._waiting.put(None)
        self._thread.join()
        self._writer.release()
        self._writer = None
        capture = cv2.VideoCapture(self.path)
        # A header may promise frames that never came to the disk.
        capture.set(cv2.CAP_PROP_POS_FRAMES, self.frames - 1)
        whole = capture.grab() and int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) >= self.frames
        capture.release()
        if not whole:
            raise OSError(
                f'video {self.path} is incomplete: not all of its {self.frames} frames can be read '
                'back. The disk is full or the file was changed'
            )
        print_log(
            f'the output video has been saved at {self.path}', logger='current', level=logging.INFO
        )
