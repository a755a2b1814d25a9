"""PoseTrack18 annotations of a rendered frame, with ``occluded`` and ``blurred`` flags.

PoseTrack's annotators mostly leave out what they cannot see. Here a hidden joint stays annotated
and is flagged, as long as it lies inside the frame, so that AP can be told for hard joints alone.

``occluded[j]`` is 1 when, at the frame's central moment, the pixel of joint j shows something that
lies before it: another person, an occluder, or a part of the own body other than those that meet
in the joint (the far shoulder behind the chest counts too: its own chest, but far in front of it).

``blurred[j]`` is 1 when the joint is smeared over more than ``BLUR_SHARE`` of the head size (as
PoseTrack defines it, 0.6 of the head box's diagonal) and over more than ``BLUR_PIXELS`` pixels of a
240-row frame. The smear is sqrt(a^2 + b^2) of the extent a of the joint's path over the image
during the exposure and the diameter b of the defocus disc.
"""

import cv2
import numpy as np

from .anatomy import EARS, KEYPOINT_DEPTH, KEYPOINT_GIRTH, KEYPOINT_PARTS, PARTS
from .render import RenderedFrame, draw_ids
from .scene import SUPERSAMPLE, Scene

BLUR_SHARE = 0.18
BLUR_PIXELS = 2.0
MIN_JOINTS = 4
MIN_VISIBLE = 0.4

_ADJACENT = np.array([[part in names for part in PARTS] for names in KEYPOINT_PARTS])
_USED = np.array([j not in EARS for j in range(len(KEYPOINT_PARTS))])


def front_quads(scene: Scene, geometry: dict[str, np.ndarray], points: np.ndarray) -> np.ndarray:
    """The quad that each image pixel shows at the first moment of ``geometry``.

    Args:
        points: (M, 2) image pixels.

    Returns:
        (M,) index of the quad, -1 for background: what draw_ids would show, without drawing.
    """
    shown = np.flatnonzero(geometry['visible'][0])
    corners = geometry['flat'][0][scene.quads[shown]]
    pixels = np.rint(points * SUPERSAMPLE + 0.5)
    low, high = corners.min(1), corners.max(1)
    near = ((low[None] <= pixels[:, None]) & (pixels[:, None] <= high[None])).all(-1)
    row, col = np.nonzero(near)
    quad, at = corners[col], pixels[row]
    edge = np.roll(quad, -1, 1) - quad
    offset = at[:, None] - quad
    side = edge[..., 0] * offset[..., 1] - edge[..., 1] * offset[..., 0]
    # Half a supersampled pixel of tolerance: drawn polygons own their border.
    slack = 0.5 * np.abs(edge).max(-1)
    hit = (side >= -slack).all(-1) | (side <= slack).all(-1)
    row, col = row[hit], col[hit]
    key = geometry['key'][0][shown[col]]
    out = np.full(len(points), -1)
    order = np.argsort(-key, kind='stable')
    out[row[order]] = shown[col[order]]
    return out


def occlusion(scene: Scene, geometry: dict[str, np.ndarray]) -> np.ndarray:
    """(P, 17) bool: hidden joints at the first moment of ``geometry``; see the module's text."""
    pixels, depth = geometry['pixels'][0], geometry['keypoints'][0][..., 2]
    people, joints = depth.shape
    quad = front_quads(scene, geometry, pixels.reshape(-1, 2)).reshape(people, joints)
    key = geometry['key'][0][quad]
    owner, part = scene.owner[quad], scene.part[quad]
    height = np.array([p.body.height for p in scene.people])[:, None]
    before = depth - key
    mine = owner == np.arange(people)[:, None]
    joint = np.broadcast_to(np.arange(joints), part.shape)
    girth = np.array([p.body.girth for p in scene.people])[:, None]
    reach = (KEYPOINT_DEPTH + KEYPOINT_GIRTH * girth) * height
    itself = mine & _ADJACENT[joint, part] & (before <= reach)
    return (quad >= 0) & ~itself & (before > 0.015 * height)


def _polygon(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    points = np.clip(points, 0, np.array(size) - 1)
    area = cv2.contourArea(points.astype(np.float32))
    return points if area >= 12 else points[:0]


def _rounded(values) -> list[float]:
    return [round(float(v), 2) for v in values]


def annotate(scene: Scene, frame: RenderedFrame) -> tuple[list[dict], list[np.ndarray]]:
    """Annotations and ignore regions of a frame.

    Returns:
        One dict a person (bbox, bbox_head, keypoints, track_id, occluded, blurred, ...) without
        the ids of image and annotation, and polygons (M, 2) in image pixels: the far crowd, and
        people of whom too little is seen to be annotated (fewer than MIN_JOINTS joints, or fewer
        than MIN_VISIBLE of those inside the frame).
    """
    width, height = scene.lens.size
    geometry = frame.geometry
    hidden = occlusion(scene, geometry)
    affine = scene.panorama.affine(scene.light.times[frame.index : frame.index + 1])[0]
    inverse = cv2.invertAffineTransform(affine)
    ignored = [region @ inverse[:, :2].T + inverse[:, 2] for region in scene.panorama.crowd]
    ignored = [_polygon(region, scene.lens.size) for region in ignored]
    annotations, ids = [], None
    for index in range(len(scene.people)):
        pixels = geometry['pixels'][0, index]
        inside = ((pixels >= 0) & (pixels <= (width - 1, height - 1))).all(-1) & _USED
        seen = inside & ~hidden[index]
        if not inside.any():
            continue
        if seen.sum() < max(MIN_JOINTS, MIN_VISIBLE * inside.sum()):
            ids = draw_ids(scene, geometry, 0) if ids is None else ids
            mask = np.concatenate([[False], scene.owner == index])[ids].astype(np.uint8)
            contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            for contour in contours:
                contour = cv2.approxPolyDP(contour, 2.0, True)[:, 0] / SUPERSAMPLE
                if len(contour) > 2:
                    ignored.append(_polygon(contour, scene.lens.size))
            continue
        box = geometry['heads'][0, index]
        low = np.minimum(box[:2], pixels[1:3].min(0))
        high = np.maximum(box[2:], pixels[1:3].max(0))
        # Annotators leave a margin: on PoseTrack18's frames the head size is about 0.86 of the
        # distance from head_bottom to head_top, on a tight box about 0.78.
        margin = 0.05 * (high - low).max()
        low, high = low - margin, high + margin
        head_size = 0.6 * np.linalg.norm(high - low)
        smear = np.hypot(frame.travel[index], frame.defocus)
        blurred = (smear > BLUR_SHARE * head_size) & (smear > BLUR_PIXELS * scene.lens.unit)
        keypoints = np.where(inside[:, None], pixels, 0)
        flat = np.concatenate([keypoints, inside[:, None]], 1).ravel()
        corner = pixels[inside].min(0)
        extent = pixels[inside].max(0) - corner
        annotations.append(
            dict(
                # PoseTrack's box: that of the joints, 15 % longer on every side.
                bbox=_rounded([*(corner - 0.15 * extent), *(1.3 * extent)]),
                bbox_head=_rounded([*low, *(high - low)]),
                keypoints=[
                    int(v) if i % 3 == 2 else round(float(v), 2) for i, v in enumerate(flat)
                ],
                track_id=index,
                category_id=1,
                scores=[],
                iscrowd=0,
                num_keypoints=int(inside.sum()),
                occluded=[int(v) for v in hidden[index] & inside],
                blurred=[int(v) for v in blurred & inside],
            )
        )
    return annotations, [region for region in ignored if len(region)]
