"""Augmentation of clips: what is drawn is drawn once for all T frames.

A camera does not change its exposure or white balance at random from frame to frame; and were the
frames of a clip distorted each in its own way, their differences would no longer tell of motion
alone. mmpose's own augmentations of pictures (PhotometricDistortion, YOLOXHSVRandomAug) fail on a
list of frames, so those that its configs use most have their counterparts here, although no config
of this package needs them.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import RandomFlip
from mmpose.registry import TRANSFORMS

from ..worker_generator import WorkerGenerator

_FLIP_CODES = dict(horizontal=1, vertical=0, diagonal=-1)
_LEVELS = np.arange(256, dtype=np.float64)


def _frames_of(results: dict, name: str) -> list[np.ndarray]:
    frames = results['img']
    if not isinstance(frames, list) or any(f.dtype != np.uint8 or f.ndim != 3 for f in frames):
        raise TypeError(
            f'{name} needs a list of uint8 HxWx3 frames in "img": let LoadClip come before it'
        )
    return frames


@TRANSFORMS.register_module()
class ClipRandomFlip(RandomFlip):
    """mmpose's flip with OpenCV's copy of the frames, the same in all that it gives.

    mmpose flips to a view with a negative stride, which TopdownAffine then has to copy byte by
    byte: fifty times the cost of ``cv2.flip``, and more than everything else that is done to a
    1080p clip.
    """

    def transform(self, results: dict) -> dict:
        """Flip all frames, boxes and keypoints, or none."""
        frames = results['img']
        results = super().transform({**results, 'img': []})
        if results['flip']:
            code = _FLIP_CODES[results['flip_direction']]
            results['img'] = [cv2.flip(frame, code) for frame in frames]
            if 'keypoint_scores' in results:
                order = results['flip_indices']
                results['keypoint_scores'] = results['keypoint_scores'][:, order]
        else:
            results['img'] = frames
        return results


@TRANSFORMS.register_module()
class ClipPhotometricDistortion(BaseTransform):
    """Change brightness, contrast, saturation and hue of a clip, all frames alike.

    Each of the four is applied with probability one half. Cheapest after TopdownAffine.

    Required and Modified Keys: img (list of T uint8 HxWx3 frames, BGR).

    Args:
        brightness (float): Largest addition to the grey levels of 0 to 255. Defaults to 32.
        contrast (Sequence[float]): Range of the factor around the mid level 128. Defaults to (0.6,
            1.4).
        saturation (Sequence[float]): Range of the factor. Defaults to (0.6, 1.4).
        hue (float): Largest turn of the hue, in degrees. Defaults to 18.
        prob (float): Probability to touch a clip at all. Defaults to 1.
    """

    def __init__(
        self,
        brightness: float = 32,
        contrast: Sequence[float] = (0.6, 1.4),
        saturation: Sequence[float] = (0.6, 1.4),
        hue: float = 18,
        prob: float = 1.0,
    ) -> None:
        super().__init__()
        self.brightness = brightness
        self.contrast = tuple(contrast)
        self.saturation = tuple(saturation)
        self.hue = hue
        self.prob = prob
        self._generator = WorkerGenerator(salt=2)

    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Draw the two tables of one clip.

        Returns:
            tuple: Levels to levels, uint8 (256, ), for all three channels; hue, saturation and
            value to theirs, uint8 (256, 3). None where nothing is to be done.
        """
        if generator.random() >= self.prob:
            return None, None
        apply = generator.random(4) < 0.5
        added = generator.uniform(-self.brightness, self.brightness)
        contrast = generator.uniform(*self.contrast)
        saturation = generator.uniform(*self.saturation)
        turn = generator.uniform(-self.hue, self.hue)

        levels = colours = None
        if apply[0] or apply[1]:
            table = _LEVELS
            if apply[0]:
                table = table + added
            if apply[1]:
                table = (table - 128) * contrast + 128
            levels = np.clip(np.rint(table), 0, 255).astype(np.uint8)
        if apply[2] or apply[3]:
            table = np.stack([_LEVELS] * 3, axis=1)
            if apply[2]:
                table[:, 1] *= saturation
            if apply[3]:
                # cv2 keeps half degrees, 0 to 179, in eight bits.
                table[:, 0] = (np.rint(table[:, 0] + turn / 2)) % 180
            colours = np.clip(np.rint(table), 0, 255).astype(np.uint8)
        return levels, colours

    def transform(self, results: dict) -> dict:
        """Apply one draw to all frames."""
        frames = _frames_of(results, type(self).__name__)
        levels, colours = self.draw(self._generator())
        if levels is not None:
            frames = [cv2.LUT(frame, levels) for frame in frames]
        if colours is not None:
            table = colours[None]
            frames = [
                cv2.cvtColor(
                    cv2.LUT(cv2.cvtColor(frame, cv2.COLOR_BGR2HSV), table), cv2.COLOR_HSV2BGR
                )
                for frame in frames
            ]
        results['img'] = frames
        return results

    def __repr__(self) -> str:
        """The arguments."""
        return (
            f'{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, '
            f'saturation={self.saturation}, hue={self.hue}, prob={self.prob})'
        )


@TRANSFORMS.register_module()
class ClipCoarseDropout(BaseTransform):
    """Hide rectangles of a clip behind a plain colour, as an occluder would.

    Keypoints stay: what is hidden has to be found from context, or from the frames that show it. To
    come after TopdownAffine.

    Required and Modified Keys: img (list of T uint8 HxWx3 frames).

    Args:
        max_holes (int): One to this many rectangles a clip. Defaults to 1.
        size (Sequence[float]): Range of a side as a share of the frame's. Defaults to (0.2, 0.4).
        per_frame (bool): Whether each frame has rectangles of its own, so that the others show what
            one hides; otherwise all frames have the same. Defaults to False.
        prob (float): Probability to touch a clip. Defaults to 0.5.
    """

    def __init__(
        self,
        max_holes: int = 1,
        size: Sequence[float] = (0.2, 0.4),
        per_frame: bool = False,
        prob: float = 0.5,
    ) -> None:
        super().__init__()
        self.max_holes = max_holes
        self.size = tuple(size)
        self.per_frame = per_frame
        self.prob = prob
        self._generator = WorkerGenerator(salt=3)

    def draw(
        self, generator: np.random.Generator, height: int, width: int
    ) -> list[tuple[slice, slice, np.ndarray]]:
        """Draw rectangles as (rows, columns, colour)."""
        holes = []
        for _ in range(generator.integers(1, self.max_holes + 1)):
            h, w = np.rint(generator.uniform(*self.size, 2) * (height, width)).astype(int)
            top, left = generator.integers(0, (height - h + 1, width - w + 1))
            colour = generator.integers(0, 256, 3).astype(np.uint8)
            holes.append((slice(top, top + h), slice(left, left + w), colour))
        return holes

    def transform(self, results: dict) -> dict:
        """Hide the rectangles."""
        frames = _frames_of(results, type(self).__name__)
        generator = self._generator()
        if generator.random() >= self.prob:
            return results
        holes: Any = None
        hidden = []
        for frame in frames:
            if holes is None or self.per_frame:
                holes = self.draw(generator, *frame.shape[:2])
            frame = frame.copy()
            for rows, columns, colour in holes:
                frame[rows, columns] = colour
            hidden.append(frame)
        results['img'] = hidden
        return results

    def __repr__(self) -> str:
        """The arguments."""
        return (
            f'{type(self).__name__}(max_holes={self.max_holes}, size={self.size}, '
            f'per_frame={self.per_frame}, prob={self.prob})'
        )
