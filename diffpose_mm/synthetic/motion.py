"""Motion families: joint angles of a person as functions of time.

A motion is continuous in time, so any sub-frame of an exposure can be asked for (physical motion
blur), and is built from a handful of drawn numbers (cadence, amplitudes, phases).
"""

from collections.abc import Callable

import numpy as np

from .anatomy import DOFS

FAMILIES = ('walk', 'run', 'jump', 'wave', 'squat', 'turn', 'fall')

Pose = dict[str, np.ndarray]


def smoothstep(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, with zero slope at both ends."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def drift(rng: np.random.Generator, amplitude: float, rates=(0.15, 1.1)) -> Callable:
    """A smooth random function of time: three sines of drawn rate (Hz) and phase."""
    rate = rng.uniform(*rates, 3) * 2 * np.pi
    phase = rng.uniform(0, 2 * np.pi, 3)
    size = amplitude * rng.dirichlet(np.ones(3))
    return lambda t: (size[:, None] * np.sin(rate[:, None] * t + phase[:, None])).sum(0)


def _rest(t: np.ndarray) -> Pose:
    return {name: np.zeros_like(t) for name in DOFS}


def _arm_gesture(rng: np.random.Generator, side: str) -> Callable[[np.ndarray], Pose]:
    """An arm that goes from one drawn posture to another and back."""
    low = np.array([-0.4, 0.05, -0.6, 0.05])
    high = np.array([1.7, 1.3, 1.2, 2.1])
    poses = rng.uniform(low, high, (2, 4))
    if rng.random() < 0.45:
        poses[0] = (0.0, 0.12, 0, 0.2)
    rate, phase = rng.uniform(0.25, 0.9), rng.uniform(0, 1)

    def motion(t):
        mix = smoothstep(0.5 + 0.9 * np.sin(2 * np.pi * (rate * t + phase)))
        value = poses[0][:, None] * (1 - mix) + poses[1][:, None] * mix
        names = ('sh_flex', 'sh_abd', 'sh_twist', 'elbow')
        return {f'{side}_{name}': v for name, v in zip(names, value)}

    return motion


def _gait(rng: np.random.Generator, running: bool) -> tuple[Callable, float]:
    rate = rng.uniform(1.25, 1.65) if running else rng.uniform(0.75, 1.1)
    phase = rng.uniform(0, 2 * np.pi)
    stride = rng.uniform(0.6, 0.85) if running else rng.uniform(0.38, 0.55)
    swing = rng.uniform(0.7, 1.1) if running else rng.uniform(0.25, 0.6)
    bend = rng.uniform(1.2, 1.9) if running else rng.uniform(0.1, 0.5)
    knee = rng.uniform(1.3, 1.8) if running else rng.uniform(0.75, 1.05)
    lean = rng.uniform(0.1, 0.28) if running else rng.uniform(-0.02, 0.08)
    spread = rng.uniform(0.06, 0.25)
    speed = rate * stride * 4 * 0.44 * (1.25 if running else 1.0)
    hop = rng.uniform(0.04, 0.09) if running else 0.0

    def motion(t):
        p = 2 * np.pi * rate * t + phase
        pose = _rest(t)
        for side, sign in (('l', 1), ('r', -1)):
            sin, cos = sign * np.sin(p), sign * np.cos(p)
            pose[f'{side}_hip_flex'] = stride * sin + (0.22 if running else 0.05)
            pose[f'{side}_knee'] = 0.12 + knee * np.maximum(cos, 0) ** 1.4 + (0.2 if running else 0)
            pose[f'{side}_sh_flex'] = -swing * sin + (0.1 if running else 0)
            pose[f'{side}_sh_abd'] = np.full_like(t, spread)
            pose[f'{side}_elbow'] = bend - (0.35 if running else 0.15) * sin
            pose[f'{side}_sh_twist'] = np.full_like(t, -0.15)
        pose['pitch'] = lean + 0.03 * np.sin(2 * p)
        pose['spine_yaw'] = 0.14 * np.sin(p)
        pose['roll'] = 0.03 * np.sin(p)
        pose['lift'] = hop * np.abs(np.sin(p))
        return pose

    return motion, speed


def _jump(rng: np.random.Generator) -> Callable:
    period, offset = rng.uniform(0.85, 1.3), rng.uniform(0, 1)
    high, depth = rng.uniform(0.12, 0.42), rng.uniform(0.5, 1.0)
    star = rng.random() < 0.4
    reach = rng.uniform(1.6, 2.8)

    def motion(t):
        u = (t / period + offset) % 1
        flight = np.clip((u - 0.42) / 0.36, 0, 1)
        air = smoothstep((u - 0.34) / 0.14) * smoothstep((0.86 - u) / 0.14)
        crouch = smoothstep(u / 0.22) * smoothstep((0.46 - u) / 0.16)
        crouch = crouch + 0.6 * smoothstep((u - 0.76) / 0.1) * smoothstep((1 - u) / 0.14)
        pose = _rest(t)
        pose['lift'] = 4 * high * flight * (1 - flight)
        pose['pitch'] = 0.45 * depth * crouch
        for side in 'lr':
            pose[f'{side}_hip_flex'] = 1.25 * depth * crouch + (0 if star else 0.25 * air)
            pose[f'{side}_knee'] = 1.5 * depth * crouch + (0.1 if star else 0.5 * air)
            pose[f'{side}_hip_abd'] = 0.08 + (0.42 * air if star else 0)
            pose[f'{side}_sh_abd'] = 0.15 + (reach * air if star else 0.2 * air)
            pose[f'{side}_sh_flex'] = np.zeros_like(t) if star else reach * air - 0.6 * crouch
            pose[f'{side}_elbow'] = 0.25 + 0.4 * crouch
        return pose

    return motion


def _wave(rng: np.random.Generator) -> Callable:
    sides = ('l', 'r') if rng.random() < 0.3 else (rng.choice(['l', 'r']),)
    other = [_arm_gesture(rng, s) for s in 'lr' if s not in sides]
    rate, phase = rng.uniform(1.0, 2.3), rng.uniform(0, 2 * np.pi)
    raised, bent = rng.uniform(1.3, 2.5), rng.uniform(0.3, 1.5)
    size, flex = rng.uniform(0.3, 0.65), rng.uniform(-0.2, 0.8)
    legs = drift(rng, 0.12)

    def motion(t):
        pose = _rest(t)
        beat = np.sin(2 * np.pi * rate * t + phase)
        for gesture in other:
            pose.update(gesture(t))
        for side in sides:
            pose[f'{side}_sh_abd'] = raised + 0.35 * size * beat
            pose[f'{side}_sh_flex'] = np.full_like(t, flex)
            pose[f'{side}_sh_twist'] = np.full_like(t, 1.3)
            pose[f'{side}_elbow'] = bent + size * beat
        for side, sign in (('l', 1), ('r', -1)):
            pose[f'{side}_hip_abd'] = np.full_like(t, 0.09)
            pose[f'{side}_hip_flex'] = sign * legs(t)
            pose[f'{side}_knee'] = np.abs(legs(t))
        pose['spine_roll'] = 0.06 * beat
        return pose

    return motion


def _squat(rng: np.random.Generator) -> Callable:
    rate, phase, depth = rng.uniform(0.45, 0.85), rng.uniform(0, 1), rng.uniform(0.55, 1.0)
    arms, wide = rng.uniform(0.3, 1.6), rng.uniform(0.05, 0.35)
    gestures = [_arm_gesture(rng, s) for s in 'lr'] if rng.random() < 0.3 else []

    def motion(t):
        s = depth * (0.5 - 0.5 * np.cos(2 * np.pi * (rate * t + phase)))
        pose = _rest(t)
        pose['pitch'] = 0.5 * s
        for side in 'lr':
            pose[f'{side}_hip_flex'] = 1.85 * s
            pose[f'{side}_knee'] = 0.05 + 2.15 * s
            pose[f'{side}_hip_abd'] = wide * (0.4 + 0.6 * s)
            pose[f'{side}_sh_flex'] = arms * s
            pose[f'{side}_sh_abd'] = np.full_like(t, 0.15)
            pose[f'{side}_elbow'] = 0.2 + 0.4 * (1 - s)
        for gesture in gestures:
            pose.update(gesture(t))
        return pose

    return motion


def _turn(rng: np.random.Generator) -> Callable:
    rate, phase = rng.uniform(0.35, 0.8) * rng.choice([-1, 1]), rng.uniform(0, 1)
    swing = rng.random() < 0.5
    size = rng.uniform(1.0, 2.2)
    gestures = [_arm_gesture(rng, s) for s in 'lr']
    step = rng.uniform(0.1, 0.3)

    def motion(t):
        pose = _rest(t)
        for gesture in gestures:
            pose.update(gesture(t))
        angle = 2 * np.pi * (rate * t + phase)
        pose['yaw'] = size * np.sin(angle) if swing else 2 * np.pi * rate * t
        for side, sign in (('l', 1), ('r', -1)):
            beat = np.maximum(sign * np.sin(2 * angle), 0)
            pose[f'{side}_hip_flex'] = 1.8 * step * beat
            pose[f'{side}_knee'] = 0.05 + 3 * step * beat
            pose[f'{side}_hip_abd'] = np.full_like(t, 0.08)
        pose['head_yaw'] = 0.3 * np.sign(rate) * np.ones_like(t)
        return pose

    return motion


def _fall(rng: np.random.Generator, duration: float) -> Callable:
    start = rng.uniform(0.1, 0.7) * duration
    length = rng.uniform(0.45, 0.8)
    forward = rng.choice([1.0, -1.0, 0.0], p=[0.45, 0.2, 0.35])
    side_sign = rng.choice([-1.0, 1.0])
    end = rng.uniform(1.05, 1.5)
    stay, back = rng.uniform(0.3, 0.8), rng.uniform(0.6, 1.0)
    arms, knees = rng.uniform(0.8, 1.9, 2), rng.uniform(0.5, 1.4, 2)
    gait, _ = _gait(rng, False)

    def motion(t):
        down = smoothstep((t - start) / length)
        up = smoothstep((t - start - length - stay) / back)
        s = down * (1 - up)
        mid = 4 * s * (1 - s)
        pose = gait(t)
        for name in pose:
            pose[name] = pose[name] * (1 - s)
        pose['pitch'] = pose['pitch'] + forward * end * s
        pose['roll'] = pose['roll'] + (side_sign * end * s if forward == 0 else 0)
        for k, side in enumerate('lr'):
            pose[f'{side}_knee'] = pose[f'{side}_knee'] + knees[k] * np.maximum(mid, 0.6 * s)
            pose[f'{side}_hip_flex'] = pose[f'{side}_hip_flex'] + 0.7 * knees[k] * mid + 0.3 * s
            pose[f'{side}_sh_flex'] = pose[f'{side}_sh_flex'] + arms[k] * s
            pose[f'{side}_sh_abd'] = pose[f'{side}_sh_abd'] + 0.5 * s
            pose[f'{side}_elbow'] = pose[f'{side}_elbow'] + 0.5 * mid
        return pose

    return motion


class Motion:
    """One family, or two that pass into each other halfway, with noise on every angle.

    Args:
        rng: where every number comes from.
        duration: seconds of the video.
        families: one or two names out of FAMILIES.
        yaw: heading in radians, 0 = towards the camera, +90 degrees = towards the image's right.
    """

    def __init__(
        self, rng: np.random.Generator, duration: float, families: tuple[str, ...], yaw: float
    ):
        self.families = families
        self.yaw = yaw
        self.parts, self.speeds = [], []
        for name in families:
            speed = 0.0
            if name in ('walk', 'run'):
                motion, speed = _gait(rng, name == 'run')
            elif name == 'fall':
                motion = _fall(rng, duration)
            else:
                motion = {'jump': _jump, 'wave': _wave, 'squat': _squat, 'turn': _turn}[name](rng)
            self.parts.append(motion)
            self.speeds.append(speed)
        self.switch = rng.uniform(0.25, 0.75) * duration
        self.blend = rng.uniform(0.25, 0.5)
        self.noise = {
            name: drift(rng, rng.uniform(0.02, 0.16))
            for name in DOFS
            if name not in ('lift', 'pitch', 'roll')
        }
        self.arm = _arm_gesture(rng, 'lr'[rng.integers(2)]) if rng.random() < 0.25 else None
        turn = rng.uniform(-0.5, 0.5)
        self.curve = turn / duration

    def _weight(self, t: np.ndarray) -> np.ndarray | None:
        if len(self.parts) == 1:
            return None
        return smoothstep((t - self.switch) / self.blend)

    def heading(self, t: np.ndarray) -> np.ndarray:
        """Direction of travel (N,), radians."""
        return self.yaw + self.curve * t

    def speed(self, t: np.ndarray) -> np.ndarray:
        """Speed over ground (N,), metres a second."""
        w = self._weight(t)
        if w is None:
            return np.full_like(t, self.speeds[0])
        return (1 - w) * self.speeds[0] + w * self.speeds[1]

    def __call__(self, t: np.ndarray) -> Pose:
        """Angles of all DOFS at times (N,), seconds: dict of (N,)."""
        t = np.asarray(t, float)
        pose = self.parts[0](t)
        w = self._weight(t)
        if w is not None:
            other = self.parts[1](t)
            pose = {name: (1 - w) * pose[name] + w * other[name] for name in DOFS}
        if self.arm is not None:
            pose.update(self.arm(t))
        for name, noise in self.noise.items():
            pose[name] = pose[name] + noise(t)
        pose['yaw'] = pose['yaw'] + self.heading(t)
        for side in 'lr':
            pose[f'{side}_knee'] = np.maximum(pose[f'{side}_knee'], 0)
            pose[f'{side}_elbow'] = np.maximum(pose[f'{side}_elbow'], 0)
            pose[f'{side}_sh_abd'] = np.maximum(pose[f'{side}_sh_abd'], 0.04)
        return pose
