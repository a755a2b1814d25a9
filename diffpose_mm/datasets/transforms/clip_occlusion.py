"""Something moves in front of the person: hidden for a while, seen before and after.

To come after TopdownAffine, where keypoints are in input pixels.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmpose.registry import TRANSFORMS

from ...images import read_image
from .clip_damage import ClipDamage, check_range, frames_of

KINDS = ('bar', 'piece', 'person')
_PICTURES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


@TRANSFORMS.register_module()
class ClipMovingOccluder(ClipDamage):
    """Move an occluder through a clip; where it stands follows from the time of each frame.

    At the centre of the stretch it covers a labelled joint; at the other frames it stands where its
    speed takes it. Kinds: ``'bar'``, a pole across the whole crop of one colour or of a picture's
    texture; ``'piece'``, an ellipse of a picture; ``'person'``, the person's own outline along the
    skeleton, mirrored and in another light. The picture is one of ``pictures``, else the clip's own
    keyframe, turned upside down.

    Required Keys: img, frame_offsets, keyframe_index, transformed_keypoints, keypoints_visible,
    skeleton_links (for ``'person'``, which otherwise is a piece).

    Modified Keys: img; keypoints_occluded ((K, ) bool), the labelled joints of the keyframe that
    this and earlier occluders hide.

    Args:
        size (Sequence[float]): Range of the occluder's width, as a share of the input's width.
            Defaults to (0.2, 0.5).
        speed (Sequence[float]): Range of the way from frame to frame of the video, as a share of
            the input's width. Defaults to (0.02, 0.15).
        kinds (Sequence[str]): Of which one is drawn. Defaults to all three.
        pictures (str, optional): Folder of pictures, looked through at all depths. Defaults to
            None.
        **kwargs: Of :class:`ClipDamage`; ``duration`` has no meaning here.
    """

    salt = 16

    def __init__(
        self,
        size: Sequence[float] = (0.2, 0.5),
        speed: Sequence[float] = (0.02, 0.15),
        kinds: Sequence[str] = KINDS,
        pictures: str | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        name = type(self).__name__
        check_range(name, 'size', size, 0)
        check_range(name, 'speed', speed, 0)
        if not kinds or not set(kinds) <= set(KINDS):
            raise ValueError(f'{name}: kinds={tuple(kinds)} has to be some of {KINDS}')
        self.size, self.speed, self.kinds = tuple(size), tuple(speed), tuple(kinds)
        self.pictures = pictures
        self._files: list[str] = []
        if pictures is not None:
            self._files = sorted(
                str(path) for path in Path(pictures).rglob('*') if path.suffix.lower() in _PICTURES
            )
            if not self._files:
                raise ValueError(f'{name}: there are no pictures ({_PICTURES}) under {pictures}')

    def transform(self, results: dict) -> dict:
        """Move one occluder through the clip, or none."""
        frames = frames_of(results, type(self).__name__)
        generator = self.generator_of(results)
        keypoints, visible = results['transformed_keypoints'][0], labelled(results)
        results.setdefault('keypoints_occluded', np.zeros(len(keypoints), bool))
        if generator.random() >= self.prob or not visible.any():
            return results
        offsets, keyframe = results['frame_offsets'], results['keyframe_index']
        height, width = frames[0].shape[:2]
        centre = keyframe
        if generator.random() >= self.keyframe_share:
            centre = int(generator.integers(len(offsets)))
        target = keypoints[generator.choice(np.flatnonzero(visible))]
        angle = generator.uniform(0, 2 * np.pi)
        step = generator.uniform(*self.speed) * width * np.array((np.cos(angle), np.sin(angle)))
        mask = self.outline(generator, results, (height, width), angle)
        paint = self.paint(generator, frames[keyframe])
        middle = np.array((width, height)) / 2
        results['img'] = list(frames)
        for i, offset in enumerate(offsets):
            shift = target - middle + step * (offset - offsets[centre])
            matrix = np.hstack((np.eye(2), shift[:, None]))
            # The mask is thrice the frame's size, so that a bar reaches across wherever it stands.
            matrix[:, 2] -= (width, height)
            here = cv2.warpAffine(mask, matrix, (width, height)) > 127
            if here.any():
                look = cv2.warpAffine(
                    paint, np.hstack((np.eye(2), shift[:, None])), (width, height),
                    borderMode=cv2.BORDER_WRAP,
                )  # fmt: skip
                results['img'][i] = np.where(here[..., None], look, frames[i])
            if i == keyframe:
                results['keypoints_occluded'] = results['keypoints_occluded'] | (
                    visible & covered(here, keypoints)
                )
        return results

    def outline(
        self, generator: np.random.Generator, results: dict, shape: tuple[int, int], angle: float
    ) -> np.ndarray:
        """The occluder, (3h, 3w) uint8, 255 where it is; its middle is the picture's."""
        height, width = shape
        mask = np.zeros((3 * height, 3 * width), np.uint8)
        centre = (3 * width // 2, 3 * height // 2)
        size = generator.uniform(*self.size) * width
        kind = generator.choice(self.kinds)
        links = results.get('skeleton_links') or ()
        joints, visible = results['transformed_keypoints'][0], labelled(results)
        links = [(a, b) for a, b in links if visible[a] and visible[b]]
        if kind == 'bar':
            # Across its way, more or less: a pole that passes.
            turn = angle + np.pi / 2 + generator.uniform(-0.5, 0.5)
            reach = 3 * np.hypot(width, height) * np.array((np.cos(turn), np.sin(turn)))
            ends = [tuple(np.rint(np.add(centre, side * reach)).astype(int)) for side in (-1, 1)]
            cv2.line(mask, *([int(v) for v in end] for end in ends), 255, max(int(size), 1))
        elif kind == 'piece' or not links:
            axes = size / 2 * np.array((1, generator.uniform(0.7, 2)))
            axes = np.maximum(np.rint(axes), 1).astype(int).tolist()
            cv2.ellipse(
                mask, centre, axes, np.degrees(generator.uniform(0, np.pi)), 0, 360, 255, -1
            )
        else:
            mirrored = (joints - joints[visible].mean(0)) * (-1, 1) + centre
            thick = max(int(size / 3), 1)
            for a, b in links:
                ends = [np.rint(mirrored[j]).astype(int).tolist() for j in (a, b)]
                cv2.line(mask, *ends, 255, thick)
        return mask

    def paint(self, generator: np.random.Generator, keyframe: np.ndarray) -> np.ndarray:
        """What the occluder looks like, HxWx3 uint8."""
        height, width = keyframe.shape[:2]
        if generator.random() < 0.3:
            return np.full_like(keyframe, generator.integers(0, 256, 3))
        picture = keyframe[::-1]
        if self._files:
            picture = read_image(self._files[generator.integers(len(self._files))])
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        gain = generator.uniform(0.5, 1.5, 3)
        return np.clip(picture * gain, 0, 255).astype(np.uint8)


def labelled(results: dict) -> np.ndarray:
    """Which joints of the keyframe have a label, (K, ) bool."""
    visible = np.asarray(results['keypoints_visible'], np.float32)[0]
    return (visible[:, 0] if visible.ndim == 2 else visible) > 0


def covered(mask: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Which keypoints lie under a mask.

    Args:
        mask: (h, w) bool.
        keypoints: (K, 2) in pixels of the mask; outside of it nothing is covered.
    """
    x, y = np.rint(keypoints).astype(int).T
    height, width = mask.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    hidden = np.zeros(len(keypoints), bool)
    hidden[inside] = mask[y[inside], x[inside]]
    return hidden
