"""Damage that begins and ends within a clip: blur, defocus, exposure, compression, lost frames.

In a video a person is hard to see for some frames and easy to see in those around them. A model
learns to ask the neighbours only if that is what its clips are like, so each transform here hits a
stretch of a clip, the keyframe more often than the others. Labels stay those of the whole clip. To
come after TopdownAffine; lengths are shares of the input's width, so that they mean the same at
every input size.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from ...clip import nearest
from ..worker_generator import WorkerGenerator

# Below this share of a frame's energy that moves as one, the motion of a crop is not told.
_CLEAR_MOTION = 0.1
_GAMMA = 2.2


class ClipDamage(BaseTransform):
    """The part that all damages share: which clips, and which stretch of a clip.

    Args:
        prob (float): Probability to damage a clip. Defaults to 0.3.
        keyframe_share (float): Probability that the stretch is centred at the keyframe; otherwise
            at any frame of the clip. Defaults to 0.7.
        duration (Sequence[float]): Range of the length of the stretch, in frames of the video.
            Defaults to (1, 4).
        seed (int, optional): Where given, the damage follows from it and the sample's ``id``, so
            that two models see the same. Defaults to None: new in every epoch.
    """

    salt: int

    def __init__(
        self,
        prob: float = 0.3,
        keyframe_share: float = 0.7,
        duration: Sequence[float] = (1, 4),
        seed: int | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        for key, share in (('prob', prob), ('keyframe_share', keyframe_share)):
            if not 0 <= share <= 1:
                raise ValueError(f'{name}: {key}={share} has to be from 0 to 1')
        check_range(name, 'duration', duration, 0)
        self.prob, self.keyframe_share, self.seed = prob, keyframe_share, seed
        self.duration = tuple(duration)
        self._generator = WorkerGenerator(salt=self.salt)

    def generator_of(self, results: dict) -> np.random.Generator:
        """The random numbers for one sample."""
        if self.seed is None:
            return self._generator()
        return np.random.default_rng([self.salt, self.seed, int(results['id'])])

    def stretch(
        self, generator: np.random.Generator, offsets: Sequence[int], keyframe: int
    ) -> list[bool]:
        """Which of the frames are hit; at least the one at the centre is.

        Args:
            generator: Where the numbers come from.
            offsets: T times of the frames, in frames of the video.
            keyframe: Its place among them.
        """
        centre = keyframe
        if generator.random() >= self.keyframe_share:
            centre = int(generator.integers(len(offsets)))
        half = generator.uniform(*self.duration) / 2
        return [
            i == centre or abs(offset - offsets[centre]) < half for i, offset in enumerate(offsets)
        ]

    def transform(self, results: dict) -> dict:
        """Damage a stretch of the clip, or nothing."""
        frames = frames_of(results, type(self).__name__)
        generator = self.generator_of(results)
        if generator.random() < self.prob:
            hit = self.stretch(generator, results['frame_offsets'], results['keyframe_index'])
            results['img'] = self.damaged(frames, hit, generator, results)
        return results

    def damaged(
        self,
        frames: list[np.ndarray],
        hit: list[bool],
        generator: np.random.Generator,
        results: dict,
    ) -> list[np.ndarray]:
        """The frames, those that are hit as new arrays."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """The arguments."""
        shown = {key: value for key, value in vars(self).items() if not key.startswith('_')}
        return f'{type(self).__name__}({", ".join(f"{k}={v!r}" for k, v in shown.items())})'


def frames_of(results: dict, name: str) -> list[np.ndarray]:
    """The T frames of a clip; raises TypeError where there are none."""
    frames = results['img']
    if not isinstance(frames, list) or any(f.dtype != np.uint8 or f.ndim != 3 for f in frames):
        raise TypeError(
            f'{name} needs a list of uint8 HxWx3 frames in "img": let LoadClip and TopdownAffine '
            'come before it'
        )
    return frames


def check_range(name: str, key: str, values: Sequence[float], least: float) -> None:
    """Raise ValueError unless a range is two numbers in order, the first not below ``least``."""
    if len(values) != 2 or not least <= values[0] <= values[1]:
        raise ValueError(f'{name}: {key}={tuple(values)} has to be (least, most), from {least} on')


def motion_of(before: np.ndarray, after: np.ndarray) -> tuple[float, float] | None:
    """How far a picture moved as a whole, by phase correlation.

    Args:
        before, after: HxWx3 uint8.

    Returns:
        (dx, dy) in pixels, or None where no one motion explains the change.
    """
    grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(np.float32) for frame in (before, after)]
    height, width = grey[0].shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    (dx, dy), response = cv2.phaseCorrelate(*grey, window)
    return (dx, dy) if response > _CLEAR_MOTION else None


def line_kernel(dx: float, dy: float) -> np.ndarray:
    """The kernel of a motion by (dx, dy) pixels while the shutter is open; it sums to one.

    The path is sampled finely and every sample shared among its four pixels, so that lengths that
    are no integers mean what they say.
    """
    radius = int(np.ceil(max(abs(dx), abs(dy)) / 2)) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    steps = 8 * (2 * radius + 1)
    for t in (np.arange(steps) + 0.5) / steps - 0.5:
        x, y = radius + t * dx, radius + t * dy
        column, row = int(x), int(y)
        right, low = x - column, y - row
        kernel[row : row + 2, column : column + 2] += np.outer((1 - low, low), (1 - right, right))
    return (kernel / kernel.sum()).astype(np.float32)


def disk_kernel(radius: float) -> np.ndarray:
    """The kernel of a lens out of focus: a disk of so many pixels, its border smooth, sum one."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


@TRANSFORMS.register_module()
class ClipMotionBlur(ClipDamage):
    """Blur a stretch of a clip along the crop's own motion.

    The direction is that in which the crop moves at the keyframe (:func:`motion_of`); where it does
    not move as a whole, any.

    Args:
        length (Sequence[float]): Range of the path of a point while the shutter is open, as a share
            of the input's width. Defaults to (0.05, 0.2).
        **kwargs: Of :class:`ClipDamage`.
    """

    salt = 11

    def __init__(self, length: Sequence[float] = (0.05, 0.2), **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        check_range(type(self).__name__, 'length', length, 0)
        self.length = tuple(length)

    def damaged(
        self,
        frames: list[np.ndarray],
        hit: list[bool],
        generator: np.random.Generator,
        results: dict,
    ) -> list[np.ndarray]:
        """See :class:`ClipDamage`."""
        angle = generator.uniform(0, 2 * np.pi)
        length = generator.uniform(*self.length) * frames[0].shape[1]
        keyframe = results['keyframe_index']
        if len(frames) > 1:
            first = max(keyframe - 1, 0)
            motion = motion_of(frames[first], frames[first + 1])
            # Less than a third of a pixel is no direction.
            if motion is not None and np.hypot(*motion) > 1 / 3:
                angle = np.arctan2(motion[1], motion[0])
        kernel = line_kernel(length * np.cos(angle), length * np.sin(angle))
        return [blurred(frame, kernel) if is_hit else frame for frame, is_hit in zip(frames, hit)]


@TRANSFORMS.register_module()
class ClipDefocus(ClipDamage):
    """Put a stretch of a clip out of focus.

    Args:
        radius (Sequence[float]): Range of the disk's radius, as a share of the input's width.
            Defaults to (0.01, 0.04).
        **kwargs: Of :class:`ClipDamage`.
    """

    salt = 12

    def __init__(self, radius: Sequence[float] = (0.01, 0.04), **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        check_range(type(self).__name__, 'radius', radius, 0)
        self.radius = tuple(radius)

    def damaged(
        self,
        frames: list[np.ndarray],
        hit: list[bool],
        generator: np.random.Generator,
        results: dict,
    ) -> list[np.ndarray]:
        """See :class:`ClipDamage`."""
        kernel = disk_kernel(generator.uniform(*self.radius) * frames[0].shape[1])
        return [blurred(frame, kernel) if is_hit else frame for frame, is_hit in zip(frames, hit)]


def blurred(frame: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A frame, filtered; the picture is mirrored at its border."""
    return cv2.filter2D(frame, -1, kernel, borderType=cv2.BORDER_REFLECT_101)


@TRANSFORMS.register_module()
class ClipExposure(ClipDamage):
    """Expose a stretch of a clip too much or too little, in linear light; what is too bright clips.

    Args:
        stops (Sequence[float]): Range of the change, in powers of two, either way. Defaults to (1,
            3).
        **kwargs: Of :class:`ClipDamage`.
    """

    salt = 13

    def __init__(self, stops: Sequence[float] = (1, 3), **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        check_range(type(self).__name__, 'stops', stops, 0)
        self.stops = tuple(stops)

    def damaged(
        self,
        frames: list[np.ndarray],
        hit: list[bool],
        generator: np.random.Generator,
        results: dict,
    ) -> list[np.ndarray]:
        """See :class:`ClipDamage`."""
        gain = 2 ** (generator.uniform(*self.stops) * generator.choice((-1, 1)))
        levels = 255 * (gain * (np.arange(256) / 255) ** _GAMMA) ** (1 / _GAMMA)
        table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        return [cv2.LUT(frame, table) if is_hit else frame for frame, is_hit in zip(frames, hit)]


@TRANSFORMS.register_module()
class ClipCompression(ClipDamage):
    """Compress a stretch of a clip as JPEG does.

    Args:
        quality (Sequence[int]): Range of libjpeg's quality. Defaults to (5, 30).
        **kwargs: Of :class:`ClipDamage`.
    """

    salt = 14

    def __init__(self, quality: Sequence[int] = (5, 30), **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        check_range(type(self).__name__, 'quality', quality, 1)
        self.quality = tuple(quality)

    def damaged(
        self,
        frames: list[np.ndarray],
        hit: list[bool],
        generator: np.random.Generator,
        results: dict,
    ) -> list[np.ndarray]:
        """See :class:`ClipDamage`."""
        low, high = self.quality
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(low, high + 1))]
        return [
            cv2.imdecode(cv2.imencode('.jpg', frame, quality)[1], cv2.IMREAD_COLOR)
            if is_hit
            else frame
            for frame, is_hit in zip(frames, hit)
        ]


@TRANSFORMS.register_module()
class ClipDroppedFrames(ClipDamage):
    """Lose neighbours: the nearest frame that is left stands in for each, as when a file is broken.

    The keyframe stays, because its picture is what the labels are of.

    Modified Keys: img, clip_replicated.

    Args:
        share (float): Probability of each neighbour to be lost, in a clip that is damaged. Defaults
            to 0.5.
        prob, seed: Of :class:`ClipDamage`.
    """

    salt = 15

    def __init__(self, share: float = 0.5, prob: float = 0.3, seed: int | None = None) -> None:
        super().__init__(prob=prob, seed=seed)
        if not 0 <= share <= 1:
            raise ValueError(f'{type(self).__name__}: share={share} has to be from 0 to 1')
        self.share = share

    def damaged(
        self,
        frames: list[np.ndarray],
        hit: list[bool],
        generator: np.random.Generator,
        results: dict,
    ) -> list[np.ndarray]:
        """See :class:`ClipDamage`."""
        offsets, keyframe = results['frame_offsets'], results['keyframe_index']
        lost = generator.random(len(frames)) < self.share
        lost[keyframe] = False
        kept = [offset for offset, is_lost in zip(offsets, lost) if not is_lost]
        replicated = results.get('clip_replicated', [False] * len(frames))
        results['clip_replicated'] = [bool(r or is_lost) for r, is_lost in zip(replicated, lost)]
        places = {offset: i for i, offset in enumerate(offsets)}
        return [frames[places[nearest(offset, kept, offsets[keyframe])]] for offset in offsets]
