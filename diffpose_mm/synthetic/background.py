"""Backgrounds of the synthetic videos: a panorama with clutter, and an unannotated far crowd."""

import cv2
import numpy as np

from .palette import HAIR_TONES, SKIN_TONES, cloth_color


def _noise(rng: np.random.Generator, height: int, width: int, cells: tuple[int, int]):
    grid = rng.standard_normal((max(cells[0], 2), max(cells[1], 2))).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)


def _color(value) -> tuple[float, float, float]:
    return tuple(float(v) for v in np.clip(value, 0, 255))


def _limb(image, start, end, r_0, r_1, color):
    """A tapered capsule, in pixels."""
    direction = np.subtract(end, start).astype(float)
    direction /= max(np.hypot(*direction), 1e-6)
    normal = np.array([-direction[1], direction[0]])
    corners = np.array(
        [start + normal * r_0, end + normal * r_1, end - normal * r_1, start - normal * r_0]
    )
    cv2.fillConvexPoly(image, corners.round().astype(np.int32), color)
    cv2.circle(image, tuple(int(v) for v in start), max(int(r_0), 1), color, -1)
    cv2.circle(image, tuple(int(v) for v in end), max(int(r_1), 1), color, -1)


def _far_person(rng, image, foot, height):
    """A small standing figure, a few strokes; returns its box (x0, y0, x1, y1)."""
    x, y = foot
    skin = _color(SKIN_TONES[rng.integers(len(SKIN_TONES))] * 0.95)
    shirt, trousers = _color(cloth_color(rng)), _color(cloth_color(rng))
    lean = rng.uniform(-0.04, 0.04) * height
    hip, neck = np.array([x, y - 0.5 * height]), np.array([x + lean, y - 0.83 * height])
    for s in (-1, 1):
        _limb(
            image,
            hip + (s * 0.04 * height, 0),
            (x + s * rng.uniform(0.03, 0.14) * height, y),
            0.06 * height,
            0.035 * height,
            trousers,
        )
        hand = neck + np.array([s * rng.uniform(0.1, 0.28), rng.uniform(0.1, 0.38)]) * height
        _limb(
            image,
            neck + (s * 0.1 * height, 0.03 * height),
            hand,
            0.04 * height,
            0.03 * height,
            shirt,
        )
    _limb(image, hip, neck + (0, 0.05 * height), 0.09 * height, 0.11 * height, shirt)
    cv2.circle(
        image, (int(x + lean), int(y - 0.93 * height)), max(int(0.065 * height), 1), skin, -1
    )
    hair = _color(HAIR_TONES[rng.integers(len(HAIR_TONES))])
    cv2.ellipse(
        image,
        (int(x + lean), int(y - 0.95 * height)),
        (max(int(0.065 * height), 1), max(int(0.05 * height), 1)),
        0,
        180,
        360,
        hair,
        -1,
    )
    return x - 0.2 * height, y - 1.03 * height, x + 0.2 * height, y + 0.03 * height


def make_background(
    rng: np.random.Generator,
    width: int,
    height: int,
    horizon: float,
    scale: float,
    clutter: float,
    crowd: bool,
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Paints a panorama.

    Args:
        rng: where every number comes from.
        width, height: pixels of the panorama.
        horizon: its row.
        scale: pixels of the panorama per pixel of a 240-row frame.
        clutter: mean number of body-coloured strokes per 320 x 240 frame area.
        crowd: whether a far, unannotated crowd stands at the horizon.

    Returns:
        image (height, width, 3) uint8 BGR, the ground's mean colour (3,) and the crowd's polygons,
        each (M, 2) panorama pixels.
    """
    horizon = int(np.clip(horizon, 1, height - 1))
    top, low = cloth_color(rng) * 0.5 + 75, cloth_color(rng) * 0.5 + 60
    ground = np.array([rng.uniform(60, 150)] * 3) * rng.uniform(0.75, 1.25, 3)
    ramp = np.linspace(0, 1, horizon, dtype=np.float32)[:, None, None]
    image = np.empty((height, width, 3), np.float32)
    image[:horizon] = top * (1 - ramp) + low * ramp
    image[horizon:] = ground
    texture = np.zeros((height, width), np.float32)
    strength = rng.uniform(5, 22)
    for cell, weight in ((90, 1.0), (28, 0.8), (7, 0.5)):
        size = cell * scale / 2
        texture += (
            weight * strength * _noise(rng, height, width, (int(height / size), int(width / size)))
        )
    # Ground texture gets stretched sideways, as seen at a grazing angle.
    texture[horizon:] += strength * _noise(
        rng,
        height - horizon,
        width,
        (int((height - horizon) / (3 * scale)) + 2, int(width / (25 * scale)) + 2),
    )
    image += texture[..., None]
    image = np.clip(image, 0, 255).astype(np.uint8)

    area = width * height / (320 * 240 * scale**2)
    for _ in range(rng.poisson(5 * area)):
        w, h = rng.uniform(12, 110) * scale, rng.uniform(20, 130) * scale
        x, y = rng.uniform(-w, width), horizon + rng.uniform(-0.25, 0.06) * h - h
        color = _color(cloth_color(rng) * 0.7 + 30)
        p_0, p_1 = (int(x), int(y)), (int(x + w), int(y + h))
        cv2.rectangle(image, p_0, p_1, color, -1)
        kind, dark = rng.integers(3), _color(np.array(color) * rng.uniform(0.55, 1.3))
        if kind == 0:
            step = rng.uniform(8, 26) * scale
            for row in np.arange(y + 0.3 * step, y + h - 0.6 * step, step):
                for col in np.arange(x + 0.3 * step, x + w - 0.5 * step, step):
                    cv2.rectangle(
                        image,
                        (int(col), int(row)),
                        (int(col + 0.5 * step), int(row + 0.6 * step)),
                        dark,
                        -1,
                    )
        elif kind == 1:
            step = rng.uniform(5, 16) * scale
            for col in np.arange(x, x + w, step):
                cv2.line(
                    image, (int(col), int(y)), (int(col), int(y + h)), dark, max(int(0.2 * step), 1)
                )
    for _ in range(rng.poisson(3 * area)):
        x, r = rng.uniform(0, width), rng.uniform(5, 28) * scale
        color = np.array([rng.uniform(20, 70), rng.uniform(60, 130), rng.uniform(30, 90)])
        for _ in range(6):
            center = (int(x + rng.normal(0, r)), int(horizon - abs(rng.normal(0, 0.7 * r))))
            cv2.circle(
                image,
                center,
                int(r * rng.uniform(0.3, 0.7)),
                _color(color * rng.uniform(0.7, 1.3)),
                -1,
            )
    for _ in range(rng.poisson(2 * area)):
        row = horizon + rng.uniform(0, 1) ** 2 * (height - horizon)
        cv2.line(
            image,
            (int(rng.uniform(-0.5, 1) * width), int(row)),
            (int(rng.uniform(0, 1.5) * width), int(row + rng.normal(0, 6 * scale))),
            _color(ground * rng.uniform(0.6, 1.4)),
            max(int(rng.uniform(1, 5) * scale), 1),
        )

    # Skin and cloth where there is no person: what a colour detector would fall for.
    for _ in range(rng.poisson(clutter * area)):
        start = np.array([rng.uniform(0, width), rng.uniform(0.1, 0.95) * height])
        length, angle = rng.uniform(8, 55) * scale, rng.uniform(0, 2 * np.pi)
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        radius = length * rng.uniform(0.08, 0.22)
        skin = SKIN_TONES[rng.integers(len(SKIN_TONES))] * rng.uniform(0.8, 1.05)
        first = skin if rng.random() < 0.4 else cloth_color(rng)
        _limb(image, start, end, radius, radius * rng.uniform(0.6, 1), _color(first))
        if rng.random() < 0.4:
            bend = angle + rng.uniform(-1.5, 1.5)
            tip = end + 0.9 * length * np.array([np.cos(bend), np.sin(bend)])
            _limb(image, end, tip, radius * 0.8, radius * 0.5, _color(skin))
        elif rng.random() < 0.3:
            cv2.circle(
                image, tuple(int(v) for v in end), max(int(radius * 1.1), 1), _color(skin), -1
            )

    regions = []
    if crowd:
        for _ in range(rng.integers(1, 3)):
            size = rng.uniform(22, 40) * scale
            count = int(rng.integers(3, 8))
            left = rng.uniform(0.1, 0.8) * width
            boxes = []
            for i in range(count):
                foot = (
                    left + i * size * rng.uniform(0.3, 0.5),
                    min(horizon + size * rng.uniform(0.35, 0.5), height - 2),
                )
                boxes.append(_far_person(rng, image, foot, size * rng.uniform(0.85, 1.1)))
            x_0, y_0 = np.min(boxes, 0)[:2]
            x_1, y_1 = np.max(boxes, 0)[2:]
            regions.append(np.array([[x_0, y_0], [x_1, y_0], [x_1, y_1], [x_0, y_1]]))
    sigma = rng.uniform(0.3, 1.3) * scale / 2
    return cv2.GaussianBlur(image, (0, 0), sigma), ground, regions
