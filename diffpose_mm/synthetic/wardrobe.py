"""Clothes, hair and faces: what makes a mesh of a body."""

import numpy as np

from .anatomy import Body
from .mesh import Mesh, MeshBuilder
from .palette import HAIR_TONES, SKIN_TONES, cloth_color


def dress(body: Body, rng: np.random.Generator, pixels: float) -> Mesh:
    """Draw clothes and build the mesh.

    Args:
        body: the person.
        rng: the video's generator.
        pixels: height of the person in the picture; the mesh of someone below 110 is coarser.
    """
    h, b = body.height, MeshBuilder(rng)
    few, pelvis_columns, head_columns, chest_columns = (
        (8, 14, 14, 16) if pixels >= 110 else (6, 10, 10, 12)
    )
    skin = SKIN_TONES[rng.integers(len(SKIN_TONES))] * rng.uniform(0.92, 1.06)
    hair = HAIR_TONES[rng.integers(len(HAIR_TONES))] * rng.uniform(0.8, 1.15)
    shirt, trousers, accent = cloth_color(rng), cloth_color(rng), cloth_color(rng)
    for _ in range(8):
        # An accent that cannot be told from the shirt would hide front from back.
        if np.abs(accent - shirt).sum() > 150:
            break
        accent = cloth_color(rng)
    shoe = cloth_color(rng) * 0.7
    sock = cloth_color(rng)
    sleeve = (0.0, 0.5, 0.62, 1.5, 1.93)[rng.choice(5, p=[0.08, 0.27, 0.15, 0.15, 0.35])]
    leg = (0.35, 0.7, 1.9)[rng.choice(3, p=[0.15, 0.2, 0.65])]
    pattern = rng.choice(5, p=[0.4, 0.2, 0.12, 0.13, 0.15])
    front_style = rng.integers(4)
    long_hair, bald, hat = rng.random() < 0.35, rng.random() < 0.08, rng.random() < 0.18
    backpack = rng.random() < 0.15
    rows = rng.integers(2, 4)

    def shirt_color(t, phi, base=shirt):
        if pattern == 1 and int(t * 12) % rows == 0:
            return accent
        if pattern == 2 and int((phi + 180) / 24) % 2:
            return 0.55 * shirt + 0.45 * accent
        if pattern == 3 and (int(t * 10) + int((phi + 180) / 30)) % 2:
            return 0.6 * shirt + 0.4 * accent
        return base

    def chest_color(t, phi):
        front = abs(phi) < 90
        if front and t > 0.84 and abs(phi) < 40:
            return skin
        if front_style == 0 and front and 0.42 < t < 0.8 and abs(phi) < 36:
            return accent
        if front_style == 1 and abs(phi) < 13:
            return accent
        if front_style == 2 and front and 0.55 < t < 0.7:
            return accent
        if front_style == 3 and front:
            return shirt_color(t, phi, 0.75 * shirt + 0.25 * accent)
        return shirt_color(t, phi)

    g = body.radius
    c, w = body.chest, body.waist
    b.tube(
        'chest',
        [
            (-0.03 * h, g(0.083), g(0.064), 0, 0),
            (0.1 * c, g(0.083), g(0.065), 0, 0),
            (0.3 * c, g(0.088), g(0.067), 0, 0.003),
            (0.5 * c, g(0.096), g(0.07), 0, 0.006),
            (0.68 * c, body.shoulder * 0.93, g(0.068), 0, 0.006),
            (0.86 * c, body.shoulder * 0.98, g(0.058), 0, 0.002),
            (0.99 * c, body.shoulder * 0.86, g(0.047), 0, 0),
            (1.07 * c, body.shoulder * 0.5, g(0.038), 0, 0),
            (1.12 * c, g(0.034), g(0.034), 0, 0.004),
        ],
        chest_columns,
        chest_color,
    )
    belt = cloth_color(rng) * 0.6

    def pelvis_color(t, phi):
        if t < 0.22:
            return belt
        if abs(phi) < 12 and t < 0.62:
            return trousers * 0.7
        return trousers

    b.tube(
        'pelvis',
        [
            (w * 1.02, g(0.08), g(0.062), 0, 0),
            (w * 0.62, g(0.084), g(0.064), 0, 0),
            (w * 0.1, g(0.092), g(0.068), 0, -0.004),
            (-0.03 * h, g(0.09), g(0.064), 0, -0.004),
            (-0.06 * h, g(0.06), g(0.045), 0, 0),
        ],
        pelvis_columns,
        pelvis_color,
    )
    b.tube(
        'neck',
        [
            (-0.02 * h, g(0.036), g(0.036), 0, 0),
            (body.neck, 0.03 * h, 0.031 * h, 0, 0.004),
            (body.neck + 0.03 * h, 0.026 * h, 0.028 * h, 0, 0.006),
        ],
        few,
        lambda t, p: skin,
    )
    head_outline = _add_head(b, body, head_columns, rng, skin, hair, long_hair, bald, hat)

    for side in 'lr':
        _add_arm(b, body, few, side, skin, shirt_color, accent, sleeve)
        _add_leg(b, body, few, side, skin, trousers, sock, shoe, leg)

    if backpack:
        pack = cloth_color(rng)
        b.tube(
            'chest',
            [
                (0.12 * c, g(0.05), 0.035 * h, 0, -g(0.06) - 0.03 * h),
                (0.2 * c, g(0.062), 0.05 * h, 0, -g(0.06) - 0.035 * h),
                (0.8 * c, g(0.062), 0.045 * h, 0, -g(0.06) - 0.03 * h),
                (0.92 * c, g(0.05), 0.03 * h, 0, -g(0.05) - 0.02 * h),
            ],
            8,
            lambda t, p: pack,
        )
        for s in (-1, 1):
            b.decal('chest', (s * g(0.055), 0.62 * c, g(0.07)), g(0.012), 0.3 * c, pack)
    return b.mesh(head_outline)


def _add_head(b, body, columns, rng, skin, hair, long_hair, bald, hat):
    top, r_x, r_z = body.head, body.head * 0.345, body.head * 0.41
    angle = np.deg2rad([-82, -58, -34, -12, 10, 32, 55, 80])
    mid = 0.5 * top
    rings = [
        (
            mid + (0.5 if a > 0 else 0.52) * top * np.sin(a),
            r_x * np.cos(a) ** 0.75,
            r_z * np.cos(a) ** 0.8,
            0,
            0.03 * top,
        )
        for a in angle
    ]
    hat_color = cloth_color(rng)

    def color(t, phi):
        if hat and t > 0.72:
            return hat_color
        if bald:
            return skin
        if t > 0.8 or (t > 0.68 and abs(phi) < 70):
            return hair
        if abs(phi) > 78 and (t > 0.32 or long_hair):
            return hair
        return skin

    b.tube('head', rings, columns, color)
    head_outline = np.concatenate([b.vertices[-1], [[0, 0, 0], [0, top, 0]]])
    if long_hair and not bald:
        b.tube(
            'head',
            [
                (0.62 * top, r_x * 0.9, r_z * 0.45, 0, -0.26 * top),
                (0.2 * top, r_x * 1.02, r_z * 0.45, 0, -0.3 * top),
                (-0.12 * top, r_x * 0.9, r_z * 0.35, 0, -0.28 * top),
                (-0.3 * top, r_x * 0.5, r_z * 0.2, 0, -0.26 * top),
            ],
            8,
            lambda t, p: hair,
        )
    if hat:
        b.add(
            'head',
            [
                (-r_x * 0.8, 0.7 * top, r_z * 0.8),
                (r_x * 0.8, 0.7 * top, r_z * 0.8),
                (r_x * 0.6, 0.66 * top, r_z * 1.75),
                (-r_x * 0.6, 0.66 * top, r_z * 1.75),
            ],
            [[0, 1, 2, 3]],
            [hat_color * 0.8],
            0.02,
            (0, 0, 0.5 * r_z),
        )
    front = r_z + 0.03 * top
    for s in (-1, 1):
        eye = (s * 0.45 * r_x, 0.53 * top, front * 0.91)
        b.decal('head', eye, 0.2 * r_x, 0.055 * top, (235, 235, 235), 0.035, s * 0.45)
        b.decal(
            'head',
            (s * 0.43 * r_x, 0.53 * top, front * 0.93),
            0.11 * r_x,
            0.055 * top,
            (25, 20, 20),
            0.04,
            s * 0.4,
        )
        b.decal(
            'head',
            (s * 0.45 * r_x, 0.625 * top, front * 0.9),
            0.24 * r_x,
            0.022 * top,
            hair * 0.7,
            0.035,
            s * 0.45,
        )
    mouth = np.clip(skin * np.array([0.55, 0.5, 0.8]), 0, 255)
    b.decal('head', (0, 0.22 * top, front * 0.88), 0.32 * r_x, 0.03 * top, mouth, 0.035)
    tip, high = (0, 0.38 * top, front * 1.2), (0, 0.52 * top, front)
    for s in (-1, 1):
        b.add(
            'head',
            [(s * 0.17 * r_x, 0.34 * top, front * 0.95), tip, high, high],
            [[0, 1, 2, 3]],
            [skin * 0.82],
            0.02,
            (-s * 0.1 * r_x, 0.4 * top, 0),
            grain=0.01,
        )
    return head_outline


def _add_arm(b, body, few, side, skin, shirt_color, accent, sleeve):
    h, u, f, d = body.height, body.uarm, body.farm, body.hand
    cuff = sleeve - 0.12

    def upper(t, phi):
        if t > sleeve:
            return skin
        return accent if cuff < t and sleeve < 1 else shirt_color(t, phi)

    def fore(t, phi):
        if 1 + t > sleeve:
            return skin * 0.96
        return accent if 1 + t > cuff else shirt_color(t, phi) * 0.94

    b.tube(
        f'{side}_uarm',
        _limb(
            body,
            (0.032 * h, 0.012, 0.012),
            (0.018 * h, 0.03, 0.032),
            (-0.1 * u, 0.035, 0.037),
            (-0.35 * u, 0.033, 0.035),
            (-0.6 * u, 0.029, 0.031),
            (-0.85 * u, 0.026, 0.027),
            (-1.03 * u, 0.022, 0.022),
            (-1.1 * u, 0.01, 0.01),
        ),
        few,
        upper,
    )
    b.tube(
        f'{side}_farm',
        _limb(
            body,
            (0.02 * h, 0.01, 0.01),
            (0, 0.024, 0.025),
            (-0.3 * f, 0.026, 0.026),
            (-0.65 * f, 0.021, 0.021),
            (-0.95 * f, 0.016, 0.017),
            (-1.05 * f, 0.009, 0.009),
        ),
        few,
        fore,
    )
    b.tube(
        f'{side}_hand',
        [
            (0, 0.011 * h, 0.014 * h, 0, 0),
            (-0.35 * d, 0.013 * h, 0.024 * h, 0, 0.004),
            (-0.7 * d, 0.011 * h, 0.022 * h, 0, 0.004),
            (-d, 0.006 * h, 0.01 * h, 0, 0),
        ],
        few,
        lambda t, p: skin * 1.04,
    )


def _add_leg(b, body, few, side, skin, trousers, sock, shoe, leg):
    h, t_len, s_len = body.height, body.thigh, body.shin

    def upper(t, phi):
        return trousers if t < leg else skin

    def lower(t, phi):
        if 1 + t < leg:
            return trousers * 0.93
        return sock if t > 0.8 else skin * 0.97

    b.tube(
        f'{side}_thigh',
        _limb(
            body,
            (0.04 * h, 0.03, 0.035),
            (-0.02 * t_len, 0.05, 0.056),
            (-0.3 * t_len, 0.049, 0.054),
            (-0.55 * t_len, 0.043, 0.047),
            (-0.8 * t_len, 0.036, 0.039),
            (-t_len, 0.031, 0.034),
            (-1.08 * t_len, 0.015, 0.015),
        ),
        few,
        upper,
    )
    b.tube(
        f'{side}_shin',
        _limb(
            body,
            (0.03 * h, 0.014, 0.014),
            (0, 0.03, 0.032, 0.002),
            (-0.25 * s_len, 0.031, 0.034, -0.006),
            (-0.5 * s_len, 0.027, 0.029, -0.005),
            (-0.75 * s_len, 0.021, 0.022),
            (-0.97 * s_len, 0.018, 0.019),
            (-1.06 * s_len, 0.01, 0.012),
        ),
        few,
        lower,
    )
    low, k = -body.ankle, body.foot
    b.tube(
        f'{side}_foot',
        [
            (-0.25 * k, 0.012 * h, 0.012 * h, 0, low * 0.5),
            (-0.2 * k, 0.022 * h, 0.022 * h, 0, low * 0.42),
            (0.1 * k, 0.024 * h, 0.024 * h, 0, low * 0.42),
            (0.45 * k, 0.027 * h, 0.016 * h, 0, low * 0.6),
            (0.7 * k, 0.022 * h, 0.011 * h, 0, low * 0.7),
            (0.78 * k, 0.008 * h, 0.006 * h, 0, low * 0.75),
        ],
        few,
        lambda t, p: shoe,
        axis='z',
    )


def _limb(body, *rings):
    """Rings (position, rx, rz[, cz]) with the radii given as shares of the height."""
    return [
        (ring[0], body.radius(ring[1]), body.radius(ring[2]), 0, *(ring[3:] or (0,)))
        for ring in rings
    ]
