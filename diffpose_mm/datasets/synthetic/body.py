"""3-D kinematic people: proportions, clothes, a quad mesh, forward kinematics.

Stands in for the people of PoseTrack (paper section 5 evaluates on it; its frames may not be
shipped). A body is 16 rigid parts, each a closed tube of quads. Its frame of reference is
x to the person's left, y up, z forward, all in metres; the world is x right, y down, z away from
the camera, so a person of yaw 0 looks into the lens and shows the left hand at the image's right.
"""

from dataclasses import dataclass

import numpy as np

PARTS = (
    'pelvis',
    'chest',
    'neck',
    'head',
    'l_uarm',
    'l_farm',
    'l_hand',
    'r_uarm',
    'r_farm',
    'r_hand',
    'l_thigh',
    'l_shin',
    'l_foot',
    'r_thigh',
    'r_shin',
    'r_foot',
)
PART_ID = {name: i for i, name in enumerate(PARTS)}

KEYPOINTS = (
    'nose',
    'head_bottom',
    'head_top',
    'left_ear',
    'right_ear',
    'left_shoulder',
    'right_shoulder',
    'left_elbow',
    'right_elbow',
    'left_wrist',
    'right_wrist',
    'left_hip',
    'right_hip',
    'left_knee',
    'right_knee',
    'left_ankle',
    'right_ankle',
)
EARS = (3, 4)

SKELETON = (
    (1, 2),
    (0, 1),
    (0, 2),
    (1, 5),
    (1, 6),
    (5, 7),
    (7, 9),
    (6, 8),
    (8, 10),
    (5, 11),
    (6, 12),
    (11, 12),
    (11, 13),
    (13, 15),
    (12, 14),
    (14, 16),
)

# The parts that a joint lies in: what they show at the joint's pixel is the joint itself, as long
# as that surface is no farther in front of the joint than KEYPOINT_DEPTH + girth * KEYPOINT_GIRTH
# (shares of body height).
KEYPOINT_PARTS = (
    ('head',),
    ('head', 'neck', 'chest'),
    ('head',),
    ('head',),
    ('head',),
    ('chest', 'l_uarm'),
    ('chest', 'r_uarm'),
    ('l_uarm', 'l_farm'),
    ('r_uarm', 'r_farm'),
    ('l_farm', 'l_hand'),
    ('r_farm', 'r_hand'),
    ('pelvis', 'chest', 'l_thigh'),
    ('pelvis', 'chest', 'r_thigh'),
    ('l_thigh', 'l_shin'),
    ('r_thigh', 'r_shin'),
    ('l_shin', 'l_foot'),
    ('r_shin', 'r_foot'),
)
KEYPOINT_DEPTH = np.array(
    [
        0.035,
        0.05,
        0.09,
        0.05,
        0.05,
        0.05,
        0.05,
        0.03,
        0.03,
        0.03,
        0.03,
        0.075,
        0.075,
        0.03,
        0.03,
        0.03,
        0.03,
    ]
)
KEYPOINT_GIRTH = np.array(
    [0, 0.035, 0, 0, 0, 0.04, 0.04, 0.03, 0.03, 0.02, 0.02, 0.04, 0.04, 0.04, 0.04, 0.03, 0.03]
)

DOFS = (
    'yaw',
    'pitch',
    'roll',
    'lift',
    'spine_pitch',
    'spine_yaw',
    'spine_roll',
    'head_pitch',
    'head_yaw',
) + tuple(
    f'{side}_{name}'
    for side in 'lr'
    for name in ('sh_flex', 'sh_abd', 'sh_twist', 'elbow', 'hip_flex', 'hip_abd', 'knee')
)

_BODY_TO_WORLD = np.diag([1.0, -1.0, -1.0])


def rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    """Right-handed rotations (N, 3, 3) about coordinate axis 0, 1 or 2 by angles (N,), rad."""
    angle = np.asarray(angle, dtype=np.float64)
    cos, sin = np.cos(angle), np.sin(angle)
    out = np.zeros(angle.shape + (3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[..., axis, axis] = 1
    out[..., i, i] = cos
    out[..., j, j] = cos
    out[..., i, j] = -sin
    out[..., j, i] = sin
    return out


@dataclass
class Mesh:
    """Quads of a person in the rigid frames of its parts.

    Attributes:
        vertices: (V, 3) metres, in the frame of ``vertex_part``.
        vertex_part: (V,) index into PARTS.
        quads: (Q, 4) vertex indices, outward side counter-clockwise seen from outside.
        quad_part: (Q,) index into PARTS.
        colors: (Q, 3) BGR in [0, 255].
        bias: (Q,) metres by which a quad is drawn nearer than it is (eyes, prints).
    """

    vertices: np.ndarray
    vertex_part: np.ndarray
    quads: np.ndarray
    quad_part: np.ndarray
    colors: np.ndarray
    bias: np.ndarray


class _MeshBuilder:
    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.vertices: list[np.ndarray] = []
        self.vertex_part: list[np.ndarray] = []
        self.quads: list[np.ndarray] = []
        self.quad_part: list[np.ndarray] = []
        self.colors: list[np.ndarray] = []
        self.bias: list[np.ndarray] = []
        self.count = 0

    def add(self, part, vertices, quads, colors, bias=0.0, center=None, grain=0.05):
        """Appends quads; turns each so that its normal points away from ``center``."""
        vertices, quads = np.asarray(vertices, float), np.array(quads)
        center = vertices.mean(0) if center is None else np.asarray(center, float)
        corner = vertices[quads]
        normal = np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 1])
        flip = (normal * (corner.mean(1) - center)).sum(1) < 0
        quads[flip] = quads[flip][:, ::-1]
        colors = np.broadcast_to(np.asarray(colors, float), (len(quads), 3))
        # Woven cloth and skin are never one flat colour.
        colors = colors * (1 + grain * self.rng.standard_normal((len(quads), 1)))
        self.vertices.append(vertices)
        self.vertex_part.append(np.full(len(vertices), PART_ID[part]))
        self.quads.append(quads + self.count)
        self.quad_part.append(np.full(len(quads), PART_ID[part]))
        self.colors.append(colors)
        self.bias.append(np.full(len(quads), float(bias)))
        self.count += len(vertices)

    def tube(self, part, rings, columns, color, axis='y'):
        """A closed tube. rings: (R, 5) rows (position, rx, rz, cx, cz); color(t, phi) -> BGR.

        t runs from 0 to 1 over the rings, phi (degrees, -180..180) is 0 at the front and +90 at
        the person's left. axis 'z' lays the tube along z (feet): phi is then 0 at the top.
        """
        rings = np.asarray(rings, float)
        phi = (np.arange(columns) + 0.5) * 2 * np.pi / columns
        pos, r_x, r_z, c_x, c_z = (rings[:, i : i + 1] for i in range(5))
        side, front = r_x * np.sin(phi) + c_x, r_z * np.cos(phi) + c_z
        along = np.broadcast_to(pos, side.shape)
        order = (side, along, front) if axis == 'y' else (side, front, along)
        vertices = np.stack(order, -1).reshape(-1, 3)
        row, col = np.meshgrid(np.arange(len(rings) - 1), np.arange(columns), indexing='ij')
        nxt = (col + 1) % columns
        quads = np.stack(
            [
                row * columns + col,
                row * columns + nxt,
                (row + 1) * columns + nxt,
                (row + 1) * columns + col,
            ],
            -1,
        ).reshape(-1, 4)
        mid_phi = (np.rad2deg(np.arange(1, columns + 1) * 2 * np.pi / columns) + 180) % 360 - 180
        mid_t = (np.arange(len(rings) - 1) + 0.5) / (len(rings) - 1)
        colors = [color(t, p) for t in mid_t for p in mid_phi]
        self.add(part, vertices, quads, colors)

    def mesh(self) -> Mesh:
        cat = np.concatenate
        return Mesh(
            cat(self.vertices).astype(np.float32),
            cat(self.vertex_part),
            cat(self.quads),
            cat(self.quad_part),
            cat(self.colors).astype(np.float32),
            cat(self.bias),
        )


SKIN_TONES = np.array(
    [
        [178, 205, 238],
        [150, 182, 224],
        [120, 160, 205],
        [92, 128, 180],
        [66, 96, 146],
        [45, 66, 104],
    ],
    float,
)
HAIR_TONES = np.array(
    [[28, 26, 30], [30, 45, 70], [45, 75, 115], [80, 140, 190], [150, 150, 155], [30, 50, 130]],
    float,
)


def cloth_color(rng: np.random.Generator) -> np.ndarray:
    """A BGR cloth colour: greys, denims and saturated dyes, as a street shows them."""
    kind = rng.random()
    if kind < 0.3:
        return np.full(3, rng.uniform(25, 235)) + rng.uniform(-12, 12, 3)
    if kind < 0.45:
        return np.array([rng.uniform(90, 150), rng.uniform(60, 95), rng.uniform(35, 70)])
    hue, value, grey = rng.random(3), rng.uniform(90, 240), rng.uniform(0.05, 0.45)
    hue = hue - hue.min()
    return value * (grey + (1 - grey) * hue / hue.max())


class Body:
    """One person: lengths in metres, all drawn from ``rng``; ``dress`` gives clothes and the mesh.

    Attributes:
        height: standing height, metres.
        girth: thickness of limbs and trunk, 1 = average.
        mesh: the quad mesh, after ``dress``.
        head_outline: (M, 3) surface points of the head in its part's frame, for ``bbox_head``.
    """

    def __init__(self, rng: np.random.Generator):
        child = rng.random() < 0.15
        self.height = h = rng.uniform(1.15, 1.45) if child else rng.uniform(1.52, 1.95)

        def part(share, spread=0.07):
            return h * share * float(np.clip(rng.normal(1, spread), 1 - 2 * spread, 1 + 2 * spread))

        self.head = part(0.165 if child else 0.138, 0.05)
        self.neck = part(0.045)
        self.chest = part(0.225)
        self.waist = part(0.075)
        self.shoulder = part(0.108)
        self.hip = part(0.054)
        self.uarm, self.farm, self.hand = part(0.17), part(0.148), part(0.095)
        self.thigh, self.shin, self.foot = part(0.242), part(0.232), part(0.14)
        self.ankle = part(0.04)
        # Just behind the tip, in the head's frame.
        self.nose = np.array([0, 0.4, 0.484]) * self.head
        self.girth = float(np.clip(rng.normal(1.05, 0.13), 0.82, 1.45))

    def dress(self, rng: np.random.Generator, pixels: float) -> None:
        """Draws clothes and builds the mesh, coarser for someone fewer than 110 pixels tall."""
        self._columns = (8, 14, 14, 16) if pixels >= 110 else (6, 10, 10, 12)
        self.mesh = self._build(rng)

    # Radii shared by the mesh and by ground contact.
    def _radius(self, share: float) -> float:
        return self.height * share * self.girth

    def _build(self, rng: np.random.Generator) -> Mesh:
        h, b = self.height, _MeshBuilder(rng)
        few, pelvis_columns, _, chest_columns = self._columns
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

        g = self._radius
        c, w = self.chest, self.waist
        b.tube(
            'chest',
            [
                (-0.03 * h, g(0.083), g(0.064), 0, 0),
                (0.1 * c, g(0.083), g(0.065), 0, 0),
                (0.3 * c, g(0.088), g(0.067), 0, 0.003),
                (0.5 * c, g(0.096), g(0.07), 0, 0.006),
                (0.68 * c, self.shoulder * 0.93, g(0.068), 0, 0.006),
                (0.86 * c, self.shoulder * 0.98, g(0.058), 0, 0.002),
                (0.99 * c, self.shoulder * 0.86, g(0.047), 0, 0),
                (1.07 * c, self.shoulder * 0.5, g(0.038), 0, 0),
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
                (self.neck, 0.03 * h, 0.031 * h, 0, 0.004),
                (self.neck + 0.03 * h, 0.026 * h, 0.028 * h, 0, 0.006),
            ],
            few,
            lambda t, p: skin,
        )
        self._add_head(b, rng, skin, hair, long_hair, bald, hat)

        for side in 'lr':
            self._add_arm(b, side, skin, shirt_color, accent, sleeve)
            self._add_leg(b, side, skin, trousers, sock, shoe, leg)

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
                self._decal(b, 'chest', (s * g(0.055), 0.62 * c, g(0.07)), g(0.012), 0.3 * c, pack)
        return b.mesh()

    @staticmethod
    def _decal(b, part, center, half_x, half_y, color, bias=0.03, yaw=0.0):
        """A small upright rectangle on the front of a part, facing forward (turned by yaw)."""
        x = half_x * np.cos(yaw)
        z = -half_x * np.sin(yaw)
        cx, cy, cz = center
        vertices = [
            (cx - x, cy - half_y, cz - z),
            (cx + x, cy - half_y, cz + z),
            (cx + x, cy + half_y, cz + z),
            (cx - x, cy + half_y, cz - z),
        ]
        b.add(part, vertices, [[0, 1, 2, 3]], [color], bias, (0, cy, -0.3), grain=0.02)

    def _add_head(self, b, rng, skin, hair, long_hair, bald, hat):
        top, r_x, r_z = self.head, self.head * 0.345, self.head * 0.41
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

        b.tube('head', rings, self._columns[2], color)
        self.head_outline = np.concatenate([b.vertices[-1], [[0, 0, 0], [0, top, 0]]])
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
            self._decal(b, 'head', eye, 0.2 * r_x, 0.055 * top, (235, 235, 235), 0.035, s * 0.45)
            self._decal(
                b,
                'head',
                (s * 0.43 * r_x, 0.53 * top, front * 0.93),
                0.11 * r_x,
                0.055 * top,
                (25, 20, 20),
                0.04,
                s * 0.4,
            )
            self._decal(
                b,
                'head',
                (s * 0.45 * r_x, 0.625 * top, front * 0.9),
                0.24 * r_x,
                0.022 * top,
                hair * 0.7,
                0.035,
                s * 0.45,
            )
        mouth = np.clip(skin * np.array([0.55, 0.5, 0.8]), 0, 255)
        self._decal(b, 'head', (0, 0.22 * top, front * 0.88), 0.32 * r_x, 0.03 * top, mouth, 0.035)
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

    def _add_arm(self, b, side, skin, shirt_color, accent, sleeve):
        h, u, f, d = self.height, self.uarm, self.farm, self.hand
        few, cuff = self._columns[0], sleeve - 0.12

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
            self._limb(
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
            self._limb(
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

    def _add_leg(self, b, side, skin, trousers, sock, shoe, leg):
        h, t_len, s_len, few = self.height, self.thigh, self.shin, self._columns[0]

        def upper(t, phi):
            return trousers if t < leg else skin

        def lower(t, phi):
            if 1 + t < leg:
                return trousers * 0.93
            return sock if t > 0.8 else skin * 0.97

        b.tube(
            f'{side}_thigh',
            self._limb(
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
            self._limb(
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
        low, k = -self.ankle, self.foot
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

    def _limb(self, *rings):
        """Rings (position, rx, rz[, cz]) with the radii given as shares of the height."""
        return [
            (ring[0], self._radius(ring[1]), self._radius(ring[2]), 0, *(ring[3:] or (0,)))
            for ring in rings
        ]

    def forward(self, pose: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Poses the body over a point of the ground plane.

        Args:
            pose: every name in DOFS -> (N,) radians (``lift`` in metres).

        Returns:
            origins (N, 16, 3) and rotations (N, 16, 3, 3) of the parts, and keypoints (N, 17, 3);
            world axes, metres, the ground at y = 0 under the person's root x = z = 0.
        """
        n = len(pose['yaw'])
        origin, rot = np.zeros((n, len(PARTS), 3)), np.zeros((n, len(PARTS), 3, 3))
        root = _BODY_TO_WORLD @ (
            rotation(1, pose['yaw']) @ rotation(0, pose['pitch']) @ rotation(2, pose['roll'])
        )

        def put(name, parent, offset, turn=None):
            i = PART_ID[name]
            if parent is None:
                rot[:, i] = turn
                return
            p = PART_ID[parent]
            origin[:, i] = origin[:, p] + rot[:, p] @ np.asarray(offset, float)
            rot[:, i] = rot[:, p] if turn is None else rot[:, p] @ turn

        put('pelvis', None, None, root)
        put(
            'chest',
            'pelvis',
            (0, self.waist, 0),
            rotation(0, pose['spine_pitch'])
            @ rotation(1, pose['spine_yaw'])
            @ rotation(2, pose['spine_roll']),
        )
        put('neck', 'chest', (0, self.chest * 1.06, 0), rotation(0, pose['head_pitch'] * 0.4))
        i, p = PART_ID['head'], PART_ID['neck']
        origin[:, i] = origin[:, p] + rot[:, p] @ np.array([0, self.neck, 0])
        rot[:, i] = rot[:, PART_ID['chest']] @ (
            rotation(1, pose['head_yaw']) @ rotation(0, pose['head_pitch'])
        )
        for side, sign in (('l', 1), ('r', -1)):
            put(
                f'{side}_uarm',
                'chest',
                (sign * self.shoulder, 0.93 * self.chest, 0),
                rotation(2, sign * pose[f'{side}_sh_abd'])
                @ rotation(0, -pose[f'{side}_sh_flex'])
                @ rotation(1, sign * pose[f'{side}_sh_twist']),
            )
            put(
                f'{side}_farm',
                f'{side}_uarm',
                (0, -self.uarm, 0),
                rotation(0, -pose[f'{side}_elbow']),
            )
            put(f'{side}_hand', f'{side}_farm', (0, -self.farm, 0))
            put(
                f'{side}_thigh',
                'pelvis',
                (sign * self.hip, 0, 0),
                rotation(2, sign * pose[f'{side}_hip_abd'])
                @ rotation(0, -pose[f'{side}_hip_flex']),
            )
            put(
                f'{side}_shin',
                f'{side}_thigh',
                (0, -self.thigh, 0),
                rotation(0, pose[f'{side}_knee']),
            )
            # The ankle keeps the sole mostly level, whatever the leg does.
            tilt = pose[f'{side}_knee'] - pose[f'{side}_hip_flex'] + pose['pitch']
            put(
                f'{side}_foot',
                f'{side}_shin',
                (0, -self.shin, 0),
                rotation(0, np.clip(-0.75 * tilt, -0.9, 0.5)),
            )

        def local(name, point):
            i = PART_ID[name]
            return origin[:, i] + rot[:, i] @ np.asarray(point, float)

        ear = (0.345 * self.head, 0.48 * self.head, 0)
        keypoints = np.stack(
            [
                local('head', self.nose),
                local('head', (0, 0, 0)),
                local('head', (0, self.head, 0)),
                local('head', ear),
                local('head', (-ear[0], ear[1], 0)),
                local('l_uarm', (0, 0, 0)),
                local('r_uarm', (0, 0, 0)),
                local('l_farm', (0, 0, 0)),
                local('r_farm', (0, 0, 0)),
                local('l_hand', (0, 0, 0)),
                local('r_hand', (0, 0, 0)),
                local('l_thigh', (0, 0, 0)),
                local('r_thigh', (0, 0, 0)),
                local('l_shin', (0, 0, 0)),
                local('r_shin', (0, 0, 0)),
                local('l_foot', (0, 0, 0)),
                local('r_foot', (0, 0, 0)),
            ],
            1,
        )

        # y points down: the lowest point of the body is what stands on the ground.
        contact = [
            keypoints[:, j, 1] + self._radius(r)
            for j, r in (
                (2, 0.01),
                (5, 0.04),
                (6, 0.04),
                (7, 0.03),
                (8, 0.03),
                (9, 0.02),
                (10, 0.02),
                (11, 0.07),
                (12, 0.07),
                (13, 0.035),
                (14, 0.035),
            )
        ]
        for side in 'lr':
            for z in (-0.22 * self.foot, 0.72 * self.foot):
                contact.append(local(f'{side}_foot', (0, -self.ankle, z))[:, 1])
        # A soft maximum, so that the weight passes from foot to foot without a jolt.
        contact = np.stack(contact)
        peak = contact.max(0)
        low = peak + 0.015 * np.log(np.exp((contact - peak) / 0.015).sum(0))
        shift = -low - pose['lift']
        origin[..., 1] += shift[:, None]
        keypoints[..., 1] += shift[:, None]
        return origin, rot, keypoints

    def pose_mesh(self, origin: np.ndarray, rot: np.ndarray) -> np.ndarray:
        """Mesh vertices (N, V, 3) for part frames (N, 16, 3) and (N, 16, 3, 3), float32."""
        mesh, n = self.mesh, len(origin)
        out = np.empty((n, len(mesh.vertices), 3), np.float32)
        for i in range(len(PARTS)):
            mine = mesh.vertex_part == i
            out[:, mine] = mesh.vertices[mine] @ rot[:, i].transpose(0, 2, 1) + origin[:, i, None]
        return out
