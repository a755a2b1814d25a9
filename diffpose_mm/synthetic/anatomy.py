"""3-D kinematic people: parts, keypoints, proportions, forward kinematics.

Stands in for the people of PoseTrack (paper section 5 evaluates on it; its frames may not be
shipped). A body is 16 rigid parts. Its frame of reference is x to the person's left, y up, z
forward, all in metres; the world is x right, y down, z away from the camera, so a person of yaw 0
looks into the lens and shows the left hand at the image's right.
"""

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

EARS = (3, 4)

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


class Body:
    """One person's proportions, in metres, all drawn from ``rng``, and its forward kinematics.

    Attributes:
        height: standing height, metres.
        girth: thickness of limbs and trunk, 1 = average.
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

    def radius(self, share: float) -> float:
        """Thickness in metres of a share of the height, for the mesh and for ground contact."""
        return self.height * share * self.girth

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
            keypoints[:, j, 1] + self.radius(r)
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
