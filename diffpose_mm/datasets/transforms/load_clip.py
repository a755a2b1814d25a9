"""Read the frames of a clip, each frame decoded once for all persons and windows that share it."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import MMLogger
from mmpose.registry import TRANSFORMS

from ...clip import nearest
from ...images import Fault, decode_image
from .frame_cache import FrameCache

_MAX_REMEMBERED_FILES = 100_000
_MAX_WARNINGS = 20
_State = tuple[int, int]
"""Time of the last change (ns) and size (bytes) of a file."""


def _state_of(path: str) -> _State | None:
    """The state of a local file; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


@TRANSFORMS.register_module()
class LoadClip(BaseTransform):
    """Load the T frames of a clip.

    A neighbour that is missing, truncated, undecodable or of another size than the keyframe is
    replaced by the good frame of the clip that is nearest to it in time (:func:`nearest`), marked
    in ``clip_replicated`` and named in ``clip_faults``. A keyframe that cannot be read is an error
    in test mode; in training the sample is given up (None), and the dataset takes another one.

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
        self._broken: OrderedDict[str, tuple[Fault, _State]] = OrderedDict()
        self._warned: set[str] = set()

    def __getstate__(self) -> dict:
        """Frames stay behind when a worker process is given a copy."""
        hidden = ('_cache', '_broken', '_warned')
        return {key: value for key, value in vars(self).items() if key not in hidden}

    def __setstate__(self, state: dict) -> None:
        """Begin with an empty cache."""
        vars(self).update(state)
        self._start()

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
        loaded: dict[str, np.ndarray | Fault] = {}
        decodes = 0
        for path in dict.fromkeys(paths):
            loaded[path], is_decoded = self._load(path)
            decodes += is_decoded

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
                frame = 'size', path, reason
                self._warn(path, reason)
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

        results['img'] = frames
        results['img_path'] = paths[keyframe]
        results['clip_paths'] = paths
        results['clip_replicated'] = replicated
        results['clip_faults'] = faults
        results['clip_decodes'] = decodes
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

    def _load(self, path: str) -> tuple[np.ndarray | Fault, bool]:
        """A frame, of the cache or of the disk, or why there is none; and whether it was decoded.

        Broken bytes are not read again as long as the file is the same. A file that is missing or
        cannot be read is tried again at every access: a network disk may be back.
        """
        frame = self._cache.get(path)
        if frame is not None:
            return frame, False
        state = _state_of(path)
        if path in self._broken:
            fault, state_then = self._broken[path]
            if state == state_then:
                return fault, False
            del self._broken[path]
        frame = self._read(path)
        if not isinstance(frame, tuple):
            frame.flags.writeable = False
            self._cache.put(path, frame)
            return frame, True
        kind, _, reason = frame
        self._warn(path, reason)
        if kind in ('empty', 'broken') and state is not None:
            self._broken[path] = frame, state
            if len(self._broken) > _MAX_REMEMBERED_FILES:
                self._broken.popitem(last=False)
        return frame, False

    def _read(self, path: str) -> np.ndarray | Fault:
        return decode_image(path, self.imdecode_backend, self.backend_args)

    def _warn(self, path: str, reason: str) -> None:
        """Warn of a file once, and of the first files only."""
        if path in self._warned or len(self._warned) >= _MAX_WARNINGS:
            return
        self._warned.add(path)
        last = '; further warnings are suppressed' if len(self._warned) == _MAX_WARNINGS else ''
        MMLogger.get_current_instance().warning(f'LoadClip: frame {path} {reason}{last}')

    def _give_up(self, results: dict, fault: Fault) -> None:
        dataset = results.get('dataset')
        if dataset is not None and not dataset.test_mode:
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
            offset = nearest(offsets[i], (offsets[j] for j in good), offsets[keyframe])
            source = next(j for j in good if offsets[j] == offset)
            frames[i], paths[i], replicated[i] = frames[source], paths[source], True

    def __repr__(self) -> str:
        """The arguments."""
        return (
            f'{type(self).__name__}(num_frames={self.num_frames}, cache_mb={self.cache_mb}, '
            f'imdecode_backend={self.imdecode_backend!r}, backend_args={self.backend_args})'
        )
