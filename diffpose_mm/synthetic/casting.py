"""Who is in a synthetic video: people and their ways over the ground."""

from dataclasses import dataclass

import numpy as np

from .anatomy import Body
from .difficulty import Difficulty
from .lens import Lens
from .mesh import Mesh
from .motion import Motion
from .wardrobe import dress


def time_grid(duration: float) -> np.ndarray:
    """(G,) seconds, a little beyond both ends of a video, at which ways are sampled."""
    return np.arange(-0.2, duration + 0.2, 1 / 120)


@dataclass
class Person:
    """A body in clothes, its motion and its way over the ground (dense samples, s and m)."""

    body: Body
    mesh: Mesh
    motion: Motion
    grid: np.ndarray
    path: np.ndarray

    def position(self, t: np.ndarray) -> np.ndarray:
        """(N, 2) world x and z at times (N,)."""
        return np.stack([np.interp(t, self.grid, self.path[:, i]) for i in (0, 1)], -1)

    def azimuth(self, t: np.ndarray) -> np.ndarray:
        """(N,) directions from the camera, radians, positive to the right."""
        x, z = self.position(t).T
        return np.arctan2(x, z)


def cast_people(
    rng: np.random.Generator, lens: Lens, duration: float, difficulty: Difficulty
) -> list[Person]:
    """The people of a video of ``duration`` seconds; the camera follows the first one."""
    d, grid = difficulty, time_grid(duration)
    count = 1 + int(rng.choice(4, p=np.array(d.people) / np.sum(d.people)))
    people: list[Person] = []
    depths: list[float] = []
    for i in range(count):
        body = Body(rng)
        crosses = i > 0 and rng.random() < d.cross
        families = _families(rng, d, crosses and rng.random() < 0.6)
        near, far = _depth_range(lens, body)
        for _ in range(20):
            tall = rng.uniform(64, 232)
            depth = np.clip(lens.focal * body.height / (tall * lens.unit), 1.02 * near, far)
            if all(abs(depth - other) > 0.45 for other in depths):
                break
        depths.append(depth)
        mesh = dress(body, rng, lens.focal * body.height / depth)
        if families[0] in ('walk', 'run'):
            yaw = rng.choice([-1, 1]) * np.deg2rad(38) + rng.normal(0, 0.35)
        else:
            kind = rng.random()
            low, high = (
                (110, 180) if kind < d.back else ((60, 110) if kind < d.back + 0.1 else (0, 60))
            )
            yaw = rng.choice([-1, 1]) * np.deg2rad(rng.uniform(low, high))
        motion = Motion(rng, duration, families, yaw)
        anchor = rng.uniform(0.2, 0.8) * duration
        if i == 0:
            azimuth = 0.0
        elif crosses:
            azimuth = people[0].azimuth(np.array([anchor]))[0]
            if motion.speeds[0] == 0 and people[0].motion.speeds[0] == 0:
                azimuth += rng.choice([-1, 1]) * rng.uniform(0.1, 0.5) / depth
        else:
            spread = 0.45 * lens.size[0] / lens.focal
            azimuth = people[0].azimuth(np.array([anchor]))[0]
            azimuth += rng.uniform(-spread, spread)
        people.append(_walker(rng, lens, grid, body, mesh, motion, anchor, azimuth, depth))
    return people


def _families(rng, difficulty, moving=False) -> tuple[str, ...]:
    names = np.array(['walk', 'run', 'jump', 'wave', 'squat', 'turn', 'fall'])
    prob = np.array(difficulty.families, float)
    if moving:
        return (str(rng.choice(['walk', 'run'])),)
    first = str(rng.choice(names, p=prob / prob.sum()))
    if rng.random() < 0.35 and first != 'fall':
        return first, str(rng.choice(names[:6], p=prob[:6] / prob[:6].sum()))
    return (first,)


def _depth_range(lens, body) -> tuple[float, float]:
    # A standing person is 60 to 240 pixels tall in a 240-row frame.
    return (
        lens.focal * body.height / (240 * lens.unit),
        lens.focal * body.height / (60 * lens.unit),
    )


def _walker(rng, lens, grid, body, mesh, motion, anchor_time, azimuth, depth) -> Person:
    """Lets the motion run over the ground so that it is at (azimuth, depth) at anchor_time."""
    near, far = _depth_range(lens, body)
    for attempt in range(12):
        heading, speed = motion.heading(grid), motion.speed(grid) * body.height / 1.7
        step = np.stack([np.sin(heading), -np.cos(heading)], -1) * speed[:, None] / 120
        path = np.cumsum(step, 0)
        anchor = [np.interp(anchor_time, grid, path[:, i]) for i in (0, 1)]
        path += np.array([np.sin(azimuth), np.cos(azimuth)]) * depth - anchor
        distance = np.hypot(*path.T)
        if path[:, 1].min() > 0.3 * near and near <= distance.min() and distance.max() <= far:
            break
        # Too near or too far at some time: walk more across the view.
        sign = np.sign(np.sin(motion.yaw)) or 1.0
        motion.yaw = sign * (np.pi / 2 + rng.uniform(-1, 1) * 0.9 * 0.75**attempt)
        if attempt > 5:
            motion.curve *= 0.5
            depth = np.clip(depth * rng.uniform(0.8, 1.25), 1.15 * near, 0.87 * far)
    else:
        path *= (np.clip(distance, near, far) / distance)[:, None]
    return Person(body, mesh, motion, grid, path)
