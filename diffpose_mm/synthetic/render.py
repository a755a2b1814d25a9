"""Draws a Scene: painter's algorithm over quads, sub-frames averaged over each exposure.

Motion blur is physical: a frame is the mean of 1 to ``MAX_SUBFRAMES`` sharp pictures spread evenly
over the exposure, as many as the fastest joint (or the panning background) needs for steps of
about ``SUBFRAME_STEP`` pixels. Their number is odd, so one of them is the very moment the labels
speak of.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from .scene import SUPERSAMPLE, Scene

SUBFRAME_STEP = 2.4
MAX_SUBFRAMES = 9
_CHUNK = 12


class RenderedFrame(NamedTuple):
    """A frame and what its labels need.

    Attributes:
        index: the frame's number.
        image: (h, w, 3) uint8 BGR.
        geometry: Scene.geometry at the frame's central moment (first axis 1).
        travel: (P, 17) image pixels, extent of each joint's path during the exposure.
        defocus: diameter of the circle of confusion, image pixels.
    """

    index: int
    image: np.ndarray
    geometry: dict[str, np.ndarray]
    travel: np.ndarray
    defocus: float


def subframe_times(scene: Scene) -> list[np.ndarray]:
    """The moments, in seconds, that are averaged for each frame (odd numbers of them)."""
    t, half = scene.light.times, scene.light.exposure / 2
    probe = np.concatenate([t - half, t, t + half])
    _, pixels = scene.keypoints(probe)
    width, height = scene.lens.size
    inside = ((pixels > -20) & (pixels < (width + 20, height + 20))).all(-1)
    pixels = pixels.reshape(3, len(t), -1, 2)
    inside = inside.reshape(3, len(t), -1).any(0)
    reach = np.maximum(
        np.linalg.norm(pixels[2] - pixels[0], axis=-1),
        2 * np.linalg.norm(pixels[::2] - pixels[1], axis=-1).max(0),
    )
    travel = np.where(inside, reach, 0).max(-1)
    affine = scene.panorama.affine(probe)
    # The panorama's motion at the centre and at a corner (which feels the roll).
    for corner in ((width, height), (0, 0)):
        path = affine[..., :2] @ np.array(corner, float) + affine[..., 2]
        path = path.reshape(3, len(t), 2)
        travel = np.maximum(travel, np.linalg.norm(path[2] - path[0], axis=-1))
        travel = np.maximum(travel, 2 * np.linalg.norm(path[::2] - path[1], axis=-1).max(0))
    steps = np.ceil((travel / (SUBFRAME_STEP * scene.lens.unit) - 0.6) / 2).clip(
        0, MAX_SUBFRAMES // 2
    )
    return [
        t[i] + half[i] * np.linspace(-1, 1, 2 * int(k) + 1) if k else t[i : i + 1]
        for i, k in enumerate(steps)
    ]


def draw_subframe(
    scene: Scene,
    geometry: dict[str, np.ndarray],
    index: int,
    affine: np.ndarray,
    colors: np.ndarray,
) -> np.ndarray:
    """One sharp picture (h, w, 3) uint8: moment ``index`` of ``geometry``, before the sensor."""
    width, height = scene.lens.size
    canvas = cv2.warpAffine(
        scene.panorama.image,
        affine,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    canvas = cv2.resize(
        canvas, (width * SUPERSAMPLE, height * SUPERSAMPLE), interpolation=cv2.INTER_NEAREST
    )
    for shadow in geometry['shadows'][index]:
        cv2.fillConvexPoly(canvas, shadow, scene.panorama.shadow_color)
    order = drawing_order(geometry, index)
    fill = cv2.fillConvexPoly
    for quad, color in zip(geometry['flat'][index][scene.quads[order]], colors[order].tolist()):
        fill(canvas, quad, color)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)


def draw_ids(scene: Scene, geometry: dict[str, np.ndarray], index: int) -> np.ndarray:
    """(h * SUPERSAMPLE, w * SUPERSAMPLE) int32: 1 + index of the quad a pixel shows, or 0."""
    width, height = (v * SUPERSAMPLE for v in scene.lens.size)
    ids = np.zeros((height, width), np.int32)
    order = drawing_order(geometry, index)
    fill = cv2.fillConvexPoly
    for quad, value in zip(geometry['flat'][index][scene.quads[order]], (order + 1).tolist()):
        fill(ids, quad, value)
    return ids


def drawing_order(geometry: dict[str, np.ndarray], index: int) -> np.ndarray:
    """Indices of the quads to draw at a moment, farthest first."""
    shown = np.flatnonzero(geometry['visible'][index])
    return shown[np.argsort(-geometry['key'][index][shown], kind='stable')]


def expose(scene: Scene, frame: int, mean: np.ndarray) -> np.ndarray:
    """Lens and sensor: defocus, gain, tint, noise on the mean of sub-frames (h, w, 3) float32."""
    # A uniform disc of diameter d has standard deviation d / 4 along each axis.
    if scene.light.defocus[frame] > 0:
        mean = cv2.GaussianBlur(mean, (0, 0), float(scene.light.defocus[frame]) / 4)
    y, x = scene.light.noise_shift[frame]
    height, width = mean.shape[:2]
    mean = mean * (scene.light.gain[frame] * scene.light.tint).astype(np.float32)
    return cv2.add(mean, scene.light.noise_tile[y : y + height, x : x + width], dtype=cv2.CV_8U)


def render(scene: Scene) -> Iterator[RenderedFrame]:
    """The video, frame by frame."""
    times = subframe_times(scene)
    for start in range(0, len(scene.light.times), _CHUNK):
        chunk = times[start : start + _CHUNK]
        flat = np.concatenate(chunk)
        geometry = scene.geometry(flat)
        affine = scene.panorama.affine(flat)
        first = 0
        for frame, moments in enumerate(chunk, start):
            count = len(moments)
            middle = first + count // 2
            colors = scene.shade(geometry, middle)
            mean = np.zeros((scene.lens.size[1], scene.lens.size[0], 3), np.float32)
            for i in range(first, first + count):
                cv2.accumulate(draw_subframe(scene, geometry, i, affine[i], colors), mean)
            mean *= np.float32(1 / count)
            path = geometry['pixels'][first : first + count]
            travel = np.linalg.norm(path.max(0) - path.min(0), axis=-1)
            now = {name: value[middle : middle + 1] for name, value in geometry.items()}
            yield RenderedFrame(
                frame, expose(scene, frame, mean), now, travel, float(scene.light.defocus[frame])
            )
            first += count
