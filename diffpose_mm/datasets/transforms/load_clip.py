"""Read the frames of a clip, each frame decoded once for all persons and windows that share it."""

import os
from collections import Counter, OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from mmengine.logging import MMLogger
from mmpose.registry import TRANSFORMS

from ...images import Fault, damage_of

_MAX_REMEMBERED_FILES = 100_000
_MAX_WARNINGS = 20


class FrameCache:
    """The most recently used decoded frames, up to a number of bytes.

    Args:
        max_bytes (int): The bound; a frame larger than it is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._frames: OrderedDict[str, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self._frames)

    def get(self, path: str) -> np.ndarray | None:
        """The frame, or None if it is not held."""
        frame = self._frames.get(path)
        if frame is not None:
            self._frames.move_to_end(path)
        return frame

    def put(self, path: str, frame: np.ndarray) -> None:
        """Hold a frame, and let the least recently used ones go."""
        if frame.nbytes > self.max_bytes or path in self._frames:
            return
        self._frames[path] = frame
        self.num_bytes += frame.nbytes
        while self.num_bytes > self.max_bytes:
            self.num_bytes -= self._frames.popitem(last=False)[1].nbytes


@TRANSFORMS.register_module()
class LoadClip(BaseTransform):
    """Load the T frames of a clip.

    A neighbour that is missing, truncated, undecodable or of another size than the keyframe is
    replaced by the good frame of the clip that is nearest to it in time (of two, the one nearer to
    the keyframe), marked in ``clip_replicated`` and counted. A keyframe that cannot be read is an
    error in test mode; in training the sample is given up (None) and counted, and the dataset takes
    another one.

    What is checked is that a file is complete (:func:`damage_of`) and decodes.

    Frames come out read-only, because the cache and several places of one clip may share them;
    mmpose's transforms make new arrays.

    Required Keys:

    - clip_paths (list[str]) and keyframe_index, as the clip datasets give them; or
    - img (list of T HxWx3 arrays, or one array), for frames in memory; or
    - img_path (str) alone: one picture, which becomes a clip of ``num_frames`` equal frames

    Modified Keys:

    - img (list of T uint8 HxWx3 arrays, BGR, oldest first), img_shape, ori_shape (h, w)
    - img_path (str): the keyframe
    - clip_paths, keyframe_index, clip_replicated, frame_offsets
    - clip_decodes (int): files that were decoded for this sample
    - clip_faults (list[Fault]): one for each frame of this sample that was replaced because it
      could not be read, or the keyframe's where the sample is given up

    Args:
        num_frames (int, optional): T. Where given, a clip of another length is an error. Defaults
            to None.
        cache_mb (float): Bound of the decoded frames kept by each worker, in MiB; 0 keeps none.
            Defaults to 256.
        imdecode_backend (str): Backend of ``mmcv.imfrombytes``. Defaults to 'cv2'.
        backend_args (dict, optional): Arguments of mmengine's file backend. Defaults to None.
    """

    def __init__(
        self,
        num_frames: int | None = None,
        cache_mb: float = 256,
        imdecode_backend: str = 'cv2',
        backend_args: dict | None = None,
    ) -> None:
        super().__init__()
        if num_frames is not None and num_frames < 1:
            raise ValueError(f'LoadClip: num_frames={num_frames} has to be at least 1')
        if cache_mb < 0:
            raise ValueError(
                f'LoadClip: cache_mb={cache_mb} cannot be negative; 0 turns the cache off'
            )
        self.num_frames = num_frames
        self.cache_mb = cache_mb
        self.imdecode_backend = imdecode_backend
        self.backend_args = backend_args
        self._start()

    def _start(self) -> None:
        self._cache = FrameCache(int(self.cache_mb * 2**20))
        self._unreadable: OrderedDict[str, Fault] = OrderedDict()
        self._counts: Counter = Counter()

    def __getstate__(self) -> dict:
        """Frames stay behind when a worker process is given a copy."""
        hidden = ('_cache', '_unreadable', '_counts')
        return {key: value for key, value in vars(self).items() if key not in hidden}

    def __setstate__(self, state: dict) -> None:
        """Begin with an empty cache."""
        vars(self).update(state)
        self._start()

    def stats(self) -> dict[str, int | float]:
        """What this process has loaded so far.

        Returns:
            dict: ``samples``; ``frames`` (T a sample); ``decodes`` (files decoded) and
            ``decodes_per_sample``; ``broken_frames`` (frames replaced) and ``broken_files``
            (different files behind them); ``skipped`` (samples given up for their keyframe);
            ``cached_mb``.
        """
        counts = self._counts
        samples = counts['samples']
        return dict(
            samples=samples,
            frames=counts['frames'],
            decodes=counts['decodes'],
            decodes_per_sample=counts['decodes'] / max(samples, 1),
            broken_frames=counts['broken_frames'],
            broken_files=counts['broken_files'],
            skipped=counts['skipped'],
            cached_mb=self._cache.num_bytes / 2**20,
        )

    def transform(self, results: dict) -> dict | None:
        """Load the frames.

        Raises:
            FileNotFoundError: The keyframe does not exist (test mode).
            OSError: The keyframe cannot be decoded (test mode).
            ValueError: The clip is not of ``num_frames`` frames or its keyframe lies outside it.
        """
        if 'img' in results:
            return self._from_memory(results)

        if 'clip_paths' not in results:
            self._repeat_picture(results)
        paths = list(results['clip_paths'])
        keyframe = self._check_clip(results, len(paths))
        decodes_before = self._counts['decodes']
        loaded: dict[str, np.ndarray | Fault] = {}
        for path in paths:
            if path not in loaded:
                loaded[path] = self._load(path)

        image = loaded[paths[keyframe]]
        if isinstance(image, tuple):
            return self._give_up(results, image)

        frames: list[np.ndarray | None] = []
        faults: list[Fault] = []
        jumped = results.get('clip_jumped', [False] * len(paths))
        for path, is_jumped in zip(paths, jumped):
            frame = loaded[path]
            if not isinstance(frame, tuple) and frame.shape != image.shape:
                reason = (
                    f'is {frame.shape[1]}x{frame.shape[0]} pixels but its keyframe is '
                    f'{image.shape[1]}x{image.shape[0]}'
                )
                frame = self._remember(('size', path, reason), key=path + '|size')
            if isinstance(frame, tuple):
                kind, path, reason = frame
                if kind == 'missing' and is_jumped:
                    kind, reason = 'jump', f'{reason}, nor do the annotations list it'
                faults.append((kind, path, reason))
                frame = None
            frames.append(frame)
        replicated = list(results.get('clip_replicated', [False] * len(paths)))
        broken = [i for i, frame in enumerate(frames) if frame is None]
        if broken:
            self._replace(broken, results['frame_offsets'], keyframe, frames, paths, replicated)

        self._counts.update(samples=1, frames=len(paths), broken_frames=len(faults))
        results['img'] = frames
        results['img_path'] = paths[keyframe]
        results['clip_paths'] = paths
        results['clip_replicated'] = replicated
        results['clip_faults'] = faults
        results['clip_decodes'] = self._counts['decodes'] - decodes_before
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _from_memory(self, results: dict) -> dict:
        frames = results['img']
        if isinstance(frames, np.ndarray):
            if frames.ndim == 3:
                frames = [frames] * (self.num_frames or 1)
                results.setdefault(
                    'clip_replicated', [i != len(frames) // 2 for i in range(len(frames))]
                )
            else:
                frames = list(frames)
        shapes = sorted({frame.shape for frame in frames})
        if len(shapes) != 1:
            raise ValueError(
                f'LoadClip: the frames in "img" have to be of one size, but are {shapes}'
            )
        keyframe = self._check_clip(results, len(frames))
        results['img'] = list(frames)
        results.setdefault('clip_paths', [results.get('img_path')] * len(frames))
        results.setdefault('img_path', results['clip_paths'][keyframe])
        results.setdefault('clip_replicated', [False] * len(frames))
        results['clip_decodes'] = 0
        results['clip_faults'] = []
        results['img_shape'] = results['ori_shape'] = frames[0].shape[:2]
        return results

    def _repeat_picture(self, results: dict) -> None:
        path = results.get('img_path')
        if not isinstance(path, str):
            raise ValueError(
                'LoadClip needs clip_paths (of a clip dataset), img or img_path in the results, '
                f'but got {sorted(results)}'
            )
        length = self.num_frames or 1
        results['clip_paths'] = [path] * length
        results['clip_replicated'] = [i != length // 2 for i in range(length)]

    def _check_clip(self, results: dict, length: int) -> int:
        """The keyframe's place, after a look at the length of everything."""
        if self.num_frames is not None and length != self.num_frames:
            raise ValueError(
                f'LoadClip: the clip has {length} frames but num_frames={self.num_frames}; let '
                'frame_offsets of the dataset and num_frames of the pipeline agree'
            )
        keyframe = results.setdefault('keyframe_index', length // 2)
        if not 0 <= keyframe < length:
            raise ValueError(
                f'LoadClip: keyframe_index={keyframe} lies outside a clip of {length} frames'
            )
        offsets = results.setdefault('frame_offsets', tuple(i - keyframe for i in range(length)))
        if len(offsets) != length:
            raise ValueError(
                f'LoadClip: frame_offsets={offsets} do not fit a clip of {length} frames'
            )
        return keyframe

    def check_files(self, paths: Sequence[str]) -> list[Fault]:
        """Read and decode files, in threads, and keep none.

        Args:
            paths (Sequence[str]): Frames.

        Returns:
            list[Fault]: Of the files that cannot be used, in the order of ``paths``.
        """

        def fault(path: str) -> Fault | None:
            read = self._read(path)
            return read if isinstance(read, tuple) else None

        with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as threads:
            return [found for found in threads.map(fault, paths) if found is not None]

    def _load(self, path: str) -> np.ndarray | Fault:
        """A decoded frame, of the cache or of the disk, or why there is none."""
        frame = self._cache.get(path)
        if frame is not None:
            return frame
        if path in self._unreadable:
            return self._unreadable[path]
        frame = self._read(path)
        if isinstance(frame, tuple):
            return self._remember(frame)
        self._counts['decodes'] += 1
        frame.flags.writeable = False
        self._cache.put(path, frame)
        return frame

    def _read(self, path: str) -> np.ndarray | Fault:
        """A frame decoded from the disk, or why there is none."""
        try:
            data = fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError:
            return 'missing', path, 'does not exist'
        except OSError as error:
            return 'unreadable', path, f'cannot be read ({error})'
        if not data:
            return 'empty', path, 'is empty'
        reason = damage_of(data)
        if reason is None:
            try:
                frame = mmcv.imfrombytes(data, flag='color', backend=self.imdecode_backend)
            except (cv2.error, OSError, ValueError):
                # cv2 raises at sizes beyond its limit, Pillow at whatever it cannot read.
                frame = None
            if frame is not None:
                return frame
            reason = 'is not an image that can be decoded'
        return 'broken', path, reason

    def _remember(self, fault: Fault, key: str | None = None) -> Fault:
        """Warn of a file once; one that is remembered under its path is not read again."""
        _, path, reason = fault
        key = path if key is None else key
        if key in self._unreadable:
            return fault
        self._unreadable[key] = fault
        if len(self._unreadable) > _MAX_REMEMBERED_FILES:
            self._unreadable.popitem(last=False)
        self._counts['broken_files'] += 1
        if self._counts['broken_files'] <= _MAX_WARNINGS:
            more = (
                '; further files are counted without a word'
                if self._counts['broken_files'] == _MAX_WARNINGS
                else ''
            )
            MMLogger.get_current_instance().warning(f'LoadClip: frame {path} {reason}{more}')
        return fault

    def _give_up(self, results: dict, fault: Fault) -> None:
        dataset = results.get('dataset')
        if dataset is not None and not dataset.test_mode:
            self._counts['skipped'] += 1
            results['clip_faults'] = [fault]
            return None
        kind, path, reason = fault
        raise (FileNotFoundError if kind == 'missing' else OSError)(
            f'LoadClip: the keyframe {path} {reason} (sample id {results.get("id")}, img_id '
            f'{results.get("img_id")}); a keyframe cannot be replaced: restore the file, or check '
            'data_root and data_prefix of the dataset'
        )

    @staticmethod
    def _replace(
        broken: list[int],
        offsets: tuple[int, ...],
        keyframe: int,
        frames: list,
        paths: list[str],
        replicated: list[bool],
    ) -> None:
        good = [i for i in range(len(frames)) if i not in broken]
        for i in broken:
            source = min(
                good,
                key=lambda j, i=i: (
                    abs(offsets[j] - offsets[i]),
                    abs(offsets[j] - offsets[keyframe]),
                ),
            )
            frames[i], paths[i], replicated[i] = frames[source], paths[source], True

    def __repr__(self) -> str:
        """The arguments."""
        return (
            f'{type(self).__name__}(num_frames={self.num_frames}, cache_mb={self.cache_mb}, '
            f'imdecode_backend={self.imdecode_backend!r}, backend_args={self.backend_args})'
        )
