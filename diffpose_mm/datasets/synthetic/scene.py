"""One synthetic video before it is drawn: people, camera, occluders and light over time.

Everything is drawn from one generator, so a video is a function of its seed alone.
"""

from dataclasses import dataclass, replace

import numpy as np

from .background import make_background
from .body import PARTS, Body, cloth_color, rotation
from .motion import Motion, drift, smoothstep

FPS = 15.0
SUPERSAMPLE = 2
# How much darker a surface is that is seen edge-on.
RIM = 0.45


@dataclass(frozen=True)
class Difficulty:
    """What makes a video hard; see DIFFICULTIES for the presets.

    Attributes:
        people: probabilities of 1, 2, 3 and 4 people.
        cross: probability that a further person crosses the first one's line of sight.
        occluders: mean number of moving occluders that pass a person, per second.
        static_occluders: mean number of standing ones.
        exposure: shortest and longest exposure time as shares of the frame interval.
        shake: largest amplitude of the hand's tremor, radians at bursts.
        pan: largest pan rate, radians a second.
        defocus: mean number of defocus stretches, per second.
        defocus_size: smallest and largest circle of confusion, pixels of a 240-row frame.
        gain: mean number of exposure changes, per second.
        clutter: body-coloured strokes in the background, per frame area.
        back: probability that a standing person shows the back.
        noise: largest sensor noise, grey levels.
        families: probabilities of walk, run, jump, wave, squat, turn, fall.
    """

    people: tuple[float, ...] = (0.3, 0.4, 0.2, 0.1)
    cross: float = 0.5
    occluders: float = 0.7
    static_occluders: float = 0.25
    exposure: tuple[float, float] = (0.14, 0.38)
    shake: float = 0.02
    pan: float = 0.2
    defocus: float = 0.3
    defocus_size: tuple[float, float] = (3.0, 6.5)
    gain: float = 0.4
    clutter: float = 3.0
    back: float = 0.05
    noise: float = 4.0
    families: tuple[float, ...] = (0.25, 0.18, 0.12, 0.16, 0.11, 0.13, 0.05)


DIFFICULTIES: dict[str, Difficulty] = {
    'easy': Difficulty(
        people=(0.7, 0.3, 0, 0),
        cross=0.2,
        occluders=0.15,
        static_occluders=0.1,
        exposure=(0.1, 0.4),
        shake=0.008,
        pan=0.1,
        defocus=0.05,
        defocus_size=(2.5, 4.0),
        gain=0.1,
        clutter=2.0,
        back=0.1,
        noise=3.0,
        families=(0.28, 0.1, 0.12, 0.2, 0.14, 0.12, 0.04),
    ),
    'standard': Difficulty(),
    'hard': Difficulty(
        people=(0.1, 0.25, 0.35, 0.3),
        cross=0.9,
        occluders=2.0,
        static_occluders=0.8,
        exposure=(0.6, 1.0),
        shake=0.06,
        pan=0.4,
        defocus=0.6,
        defocus_size=(4.0, 11.0),
        gain=0.8,
        clutter=16.0,
        back=0.3,
        noise=12.0,
        families=(0.2, 0.26, 0.14, 0.1, 0.1, 0.1, 0.1),
    ),
}


def difficulty_named(name: str) -> Difficulty:
    """The preset of that name; ValueError when there is none."""
    if name not in DIFFICULTIES:
        raise ValueError(f'difficulty is {name!r}, must be one of {", ".join(DIFFICULTIES)}')
    return replace(DIFFICULTIES[name])


@dataclass
class Person:
    """A body, its motion and its way over the ground (dense samples, seconds and metres)."""

    body: Body
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


@dataclass
class Occluder:
    """A billboard of coloured cells that faces the camera.

    Attributes:
        cells: (C, 4, 2) metres, relative to its foot (x right, y down).
        colors: (C, 3) BGR.
        depth: metres from the camera.
        azimuth, rate, time: radians, radians a second, the second at which azimuth holds.
    """

    cells: np.ndarray
    colors: np.ndarray
    depth: float
    azimuth: float
    rate: float
    time: float


class Scene:
    """A video's content.

    Args:
        rng: the video's own generator.
        size: (width, height) pixels of a frame.
        frames: number of frames.
        difficulty: see Difficulty.
    """

    def __init__(
        self, rng: np.random.Generator, size: tuple[int, int], frames: int, difficulty: Difficulty
    ):
        self.size, self.frames, self.difficulty = size, frames, difficulty
        self.duration = frames / FPS
        width, height = size
        self.unit = height / 240.0
        self.focal = width * rng.uniform(0.9, 1.45)
        self.camera_height = rng.uniform(0.9, 1.9)
        self.center = np.array([(width - 1) / 2, (height - 1) / 2])
        self.grid = np.arange(-0.2, self.duration + 0.2, 1 / 120)
        self._people(rng)
        self._camera(rng)
        self._occluders(rng)
        self._light(rng)
        self._background(rng)
        self._assemble()

    # ---- people

    def _families(self, rng, moving=False) -> tuple[str, ...]:
        names = np.array(['walk', 'run', 'jump', 'wave', 'squat', 'turn', 'fall'])
        prob = np.array(self.difficulty.families, float)
        if moving:
            return (str(rng.choice(['walk', 'run'])),)
        first = str(rng.choice(names, p=prob / prob.sum()))
        if rng.random() < 0.35 and first != 'fall':
            return first, str(rng.choice(names[:6], p=prob[:6] / prob[:6].sum()))
        return (first,)

    def _depth_range(self, body: Body) -> tuple[float, float]:
        # A standing person is 60 to 240 pixels tall in a 240-row frame.
        return (
            self.focal * body.height / (240 * self.unit),
            self.focal * body.height / (60 * self.unit),
        )

    def _walker(self, rng, body, motion, anchor_time, azimuth, depth) -> Person:
        """Lets the motion run over the ground so that it is at (azimuth, depth) at anchor_time."""
        grid = self.grid
        near, far = self._depth_range(body)
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
        return Person(body, motion, grid, path)

    def _people(self, rng):
        d = self.difficulty
        count = 1 + int(rng.choice(4, p=np.array(d.people) / np.sum(d.people)))
        self.people: list[Person] = []
        depths: list[float] = []
        for i in range(count):
            body = Body(rng)
            crosses = i > 0 and rng.random() < d.cross
            families = self._families(rng, crosses and rng.random() < 0.6)
            near, far = self._depth_range(body)
            for _ in range(20):
                tall = rng.uniform(64, 232)
                depth = np.clip(self.focal * body.height / (tall * self.unit), 1.02 * near, far)
                if all(abs(depth - other) > 0.45 for other in depths):
                    break
            depths.append(depth)
            body.dress(rng, self.focal * body.height / depth)
            if families[0] in ('walk', 'run'):
                yaw = rng.choice([-1, 1]) * np.deg2rad(38) + rng.normal(0, 0.35)
            else:
                kind = rng.random()
                low, high = (
                    (110, 180) if kind < d.back else ((60, 110) if kind < d.back + 0.1 else (0, 60))
                )
                yaw = rng.choice([-1, 1]) * np.deg2rad(rng.uniform(low, high))
            motion = Motion(rng, self.duration, families, yaw)
            anchor = rng.uniform(0.2, 0.8) * self.duration
            if i == 0:
                azimuth = 0.0
            elif crosses:
                azimuth = self.people[0].azimuth(np.array([anchor]))[0]
                if motion.speeds[0] == 0 and self.people[0].motion.speeds[0] == 0:
                    azimuth += rng.choice([-1, 1]) * rng.uniform(0.1, 0.5) / depth
            else:
                spread = 0.45 * self.size[0] / self.focal
                azimuth = self.people[0].azimuth(np.array([anchor]))[0]
                azimuth += rng.uniform(-spread, spread)
            self.people.append(self._walker(rng, body, motion, anchor, azimuth, depth))

    # ---- camera

    def _camera(self, rng):
        d, grid, main = self.difficulty, self.grid, self.people[0]
        follow = rng.uniform(0.65, 1.0)
        yaw = follow * main.azimuth(grid)
        kernel = np.hanning(61)
        padded = np.pad(yaw, 30, mode='edge')
        yaw = np.convolve(padded, kernel / kernel.sum(), 'valid')
        yaw += rng.uniform(-0.5, 0.5) * d.pan * (grid - self.duration / 2)
        # A quick swing of the camera, as when the operator reframes.
        for _ in range(rng.poisson(0.35 * self.duration)):
            start, length = rng.uniform(0, self.duration), rng.uniform(0.2, 0.5)
            swing = rng.choice([-1, 1]) * rng.uniform(0.2, 1.0) * d.pan * 0.6
            move = smoothstep((grid - start) / length) - smoothstep(
                (grid - start - length - 0.2) / length
            )
            yaw += swing * move
        yaw += rng.uniform(-0.22, 0.22) * self.size[0] / self.focal
        distance = np.hypot(*main.position(np.array([self.duration / 2]))[0])
        aim = self.camera_height - 0.5 * main.body.height
        pitch = np.full_like(grid, np.arctan2(aim, distance))
        pitch += rng.normal(0, 0.05) * self.size[1] / self.focal
        roll = np.full_like(grid, rng.normal(0, 0.025))
        strength = d.shake * rng.uniform(0.1, 1.0)
        envelope = np.full_like(grid, 0.12)
        for _ in range(rng.poisson(1.0 * self.duration)):
            middle, length = rng.uniform(0, self.duration), rng.uniform(0.08, 0.3)
            envelope += rng.uniform(0.4, 1.0) * np.exp(-0.5 * ((grid - middle) / length) ** 2)
        for signal, size in ((yaw, 1.0), (pitch, 0.9), (roll, 0.8)):
            signal += size * strength * envelope * drift(rng, 1.0, (1.5, 6.0))(grid)
        self.camera = np.stack([yaw, pitch, roll], -1)

    def camera_angles(self, t: np.ndarray) -> np.ndarray:
        """(N, 3) yaw, pitch, roll of the camera at times (N,), radians."""
        return np.stack([np.interp(t, self.grid, self.camera[:, i]) for i in range(3)], -1)

    def camera_rotation(self, t: np.ndarray) -> np.ndarray:
        """(N, 3, 3) world to camera rotations (x right, y down, z forward)."""
        yaw, pitch, roll = self.camera_angles(t).T
        return rotation(2, -roll) @ rotation(0, pitch) @ rotation(1, -yaw)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Camera points (..., 3), metres -> image pixels (..., 2), pixel centres at integers.

        What lies behind the camera goes far outside the frame.
        """
        depth = points[..., 2:]
        pixels = self.focal * points[..., :2] / np.maximum(depth, 0.1) + self.center
        return np.where(depth > 0.1, pixels, -1e6)

    # ---- occluders

    def _occluders(self, rng):
        d = self.difficulty
        self.occluders: list[Occluder] = []
        moving = rng.poisson(d.occluders * self.duration)
        standing = rng.poisson(d.static_occluders)
        for i in range(min(moving, 24) + standing):
            target = self.people[rng.integers(len(self.people))]
            time = rng.uniform(0, self.duration)
            place = target.position(np.array([time]))[0]
            depth = max(np.hypot(*place) * rng.uniform(0.55, 0.85), 0.9)
            # Sizes and speeds are chosen in pixels of a 240-row frame, then taken to the scene.
            metre = depth / self.focal * self.unit
            wide = rng.uniform(8, 24) if rng.random() < 0.5 else rng.uniform(20, 56)
            tall = rng.uniform(60, 300) if rng.random() < 0.6 else rng.uniform(25, 90)
            base = rng.uniform(-10, 40) if rng.random() < 0.5 else rng.uniform(-120, 0)
            offset = rng.normal(0, 8) * metre / depth
            if i >= moving:
                # Beside the person: what hides all of someone all the time teaches nothing.
                wide = rng.uniform(6, 30)
                offset = rng.choice([-1, 1]) * rng.uniform(0.15, 0.6) / depth
            rate = 0.0
            if i < moving:
                rate = rng.choice([-1, 1]) * rng.uniform(110, 420) * metre / depth
            foot = self.camera_height + base * metre
            self.occluders.append(
                self._billboard(
                    rng,
                    wide * metre,
                    tall * metre,
                    foot,
                    depth,
                    np.arctan2(*place) + offset,
                    rate,
                    time,
                )
            )

    @staticmethod
    def _billboard(rng, wide, tall, foot, depth, azimuth, rate, time) -> Occluder:
        style = rng.integers(4)
        first, second = cloth_color(rng), cloth_color(rng)
        rows = int(rng.integers(2, 7)) if tall > wide else int(rng.integers(1, 4))
        columns = int(rng.integers(1, 3)) if tall > wide else int(rng.integers(2, 7))
        if style == 0:
            rows = columns = 1
        cells, colors = [], []
        top_share = rng.uniform(0.3, 1.0) if rng.random() < 0.3 else 1.0
        for i in range(rows):
            for j in range(columns):
                corner = np.array([[j, i], [j + 1, i], [j + 1, i + 1], [j, i + 1]], float)
                corner /= (columns, rows)
                corner[:, 0] -= 0.5
                corner[:, 0] *= wide * (top_share + (1 - top_share) * corner[:, 1])
                corner[:, 1] = (corner[:, 1] - 1) * tall + foot
                cells.append(corner)
                pick = first if (i + j) % 2 == 0 or style == 1 else second
                colors.append(pick * rng.uniform(0.85, 1.1))
        return Occluder(np.array(cells), np.clip(colors, 0, 255), depth, azimuth, rate, time)

    # ---- light, focus, sensor

    def _stretches(self, rng, rate, lengths) -> list[tuple[float, float]]:
        return [
            (rng.uniform(-0.1, self.duration), rng.uniform(*lengths))
            for _ in range(rng.poisson(rate * self.duration))
        ]

    def _light(self, rng):
        d, n = self.difficulty, self.frames
        t = np.arange(n) / FPS
        self.times = t
        self.exposure = np.full(n, rng.uniform(*d.exposure)) / FPS
        light = np.array([rng.normal(0, 0.7), -1.0, -abs(rng.normal(0.5, 0.5))])
        self.light = light / np.linalg.norm(light)
        self.ambient = rng.uniform(0.5, 0.72)
        defocus = np.zeros(n)
        for start, length in self._stretches(rng, d.defocus, (0.12, 0.45)):
            ramp = smoothstep((t - start) / 0.1) * smoothstep((start + length - t) / 0.1)
            defocus = np.maximum(defocus, ramp * rng.uniform(*d.defocus_size))
        self.defocus = np.where(defocus < 1.0, 0, defocus) * self.unit
        gain = np.full(n, rng.uniform(0.8, 1.15))
        for start, length in self._stretches(rng, d.gain, (0.2, 0.8)):
            ramp = smoothstep((t - start) / 0.15) * smoothstep((start + length - t) / 0.15)
            gain *= 1 + ramp * (rng.uniform(0.35, 0.75) * rng.choice([-1, 1.3]))
        self.gain = np.clip(gain, 0.25, 2.2)
        self.tint = rng.uniform(0.92, 1.08, 3)
        self.noise = rng.uniform(0.15, 1.0) * d.noise
        width, height = self.size
        tile = self.noise * rng.standard_normal((height + 48, width + 48, 1))
        self.noise_tile = np.repeat(tile, 3, 2).astype(np.float32)
        self.noise_shift = rng.integers(0, 48, (n, 2))

    # ---- background

    def _background(self, rng):
        width, height = self.size
        yaw, slope = self.camera[:, 0], np.tan(self.camera[:, 1])
        margin = int(0.08 * width) + 8
        self._origin = np.array(
            [
                yaw.min() * self.focal - width / 2 - margin,
                slope.min() * self.focal - height / 2 - margin,
            ]
        )
        span = np.array(
            [
                np.ptp(yaw) * self.focal + width + 2 * margin,
                np.ptp(slope) * self.focal + height + 2 * margin,
            ]
        ).astype(int)
        self.background, ground, self.crowd = make_background(
            rng,
            int(span[0]),
            int(span[1]),
            -self._origin[1],
            self.unit,
            self.difficulty.clutter,
            rng.random() < 0.3,
        )
        self.shadow_color = tuple(float(v) for v in np.clip(ground * 0.62, 0, 255))

    def background_affine(self, t: np.ndarray) -> np.ndarray:
        """(N, 2, 3) maps of image pixels to panorama pixels.

        The panorama is a cylinder around the camera, so this is exact at the frame's centre.
        """
        yaw, pitch, roll = self.camera_angles(t).T
        middle = np.stack([yaw, np.tan(pitch)], -1) * self.focal - self._origin
        turn = np.zeros((len(yaw), 2, 2))
        turn[:, 0, 0] = turn[:, 1, 1] = np.cos(roll)
        turn[:, 0, 1], turn[:, 1, 0] = -np.sin(roll), np.sin(roll)
        return np.concatenate([turn, (middle - turn @ self.center)[..., None]], -1)

    # ---- geometry at given times

    def keypoints(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World keypoints of everybody at times (N,).

        Returns:
            (N, P, 17, 3) camera coordinates in metres and (N, P, 17, 2) image pixels.
        """
        turn = self.camera_rotation(t)
        world = np.stack([self._posed(p, t)[2] for p in self.people], 1)
        camera = np.einsum('nij,npkj->npki', turn, world)
        return camera, self.project(camera)

    def _posed(self, person: Person, t: np.ndarray):
        origin, rot, keypoints = person.body.forward(person.motion(t))
        place = person.position(t)
        shift = np.stack([place[:, 0], np.full(len(t), self.camera_height), place[:, 1]], -1)
        return origin + shift[:, None], rot, keypoints + shift[:, None]

    def geometry(self, t: np.ndarray) -> dict[str, np.ndarray]:
        """Everything to draw at times (N,).

        Returns:
            A dict of
            - keypoints (N, P, 17, 3) camera metres, pixels (N, P, 17, 2) image pixels,
            - heads (N, P, 4): x0, y0, x1, y1 of the head's surface, image pixels,
            - vertices (N, V, 3) float32 camera metres, flat (N, V, 2) int32 supersampled pixels,
            - key (N, Q) float32: depth that decides what hides what, metres,
            - visible (N, Q) bool: faces the camera and may touch the frame,
            - shadows (N, P, 10, 2) int32 supersampled pixels,
            - light (N, 3) unit vector towards the light, camera axes.
        """
        n, turn = len(t), self.camera_rotation(t)
        turn32 = turn.astype(np.float32).transpose(0, 2, 1)
        vertices, keypoints, heads, shadows = [], [], [], []
        circle = np.arange(10) * 2 * np.pi / 10
        head = PARTS.index('head')
        for person in self.people:
            origin, rot, points = self._posed(person, t)
            vertices.append(person.body.pose_mesh(origin, rot) @ turn32)
            keypoints.append(points @ turn.transpose(0, 2, 1))
            outline = origin[:, head, None] + person.body.head_outline @ rot[:, head].transpose(
                0, 2, 1
            )
            outline = self.project(outline @ turn.transpose(0, 2, 1))
            heads.append(np.concatenate([outline.min(1), outline.max(1)], -1))
            place = person.position(t)
            ring = np.zeros((n, 10, 3))
            ring[..., 0] = place[:, :1] + 0.15 * person.body.height * np.cos(circle)
            ring[..., 1] = self.camera_height
            ring[..., 2] = place[:, 1:] + 0.09 * person.body.height * np.sin(circle)
            ring = self.project(ring @ turn.transpose(0, 2, 1))
            shadows.append((ring * SUPERSAMPLE + 0.5).round().astype(np.int32))
        for item in self.occluders:
            azimuth = item.azimuth + item.rate * (t - item.time)
            right = np.stack([np.cos(azimuth), np.zeros(n), -np.sin(azimuth)], -1)
            ahead = np.stack([np.sin(azimuth), np.zeros(n), np.cos(azimuth)], -1)
            cells = item.cells.reshape(-1, 2)
            world = cells[:, :1] * right[:, None] + item.depth * ahead[:, None]
            world[..., 1] = cells[:, 1]
            vertices.append((world @ turn.transpose(0, 2, 1)).astype(np.float32))
        vertices = np.concatenate(vertices, 1)
        keypoints = np.stack(keypoints, 1)
        depth = np.maximum(vertices[..., 2], np.float32(0.2))
        flat = vertices[..., :2] * (np.float32(self.focal * SUPERSAMPLE) / depth)[..., None]
        flat += (self.center * SUPERSAMPLE + 0.5).astype(np.float32)
        flat = np.rint(np.clip(flat, -9000, 9000)).astype(np.int32)

        i, j, k, m = self.quads.T
        mean = (depth[:, i] + depth[:, j] + depth[:, k] + depth[:, m]) / 4
        one, two = flat[:, k] - flat[:, i], flat[:, m] - flat[:, j]
        facing = one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0]
        middle = flat[:, i] + flat[:, k]
        # Opposite corners' midpoint; no quad of a person is wider than the tolerated margin.
        limit = np.array(self.size) * (2 * SUPERSAMPLE) + 80 * self.unit
        inside = ((middle > -80 * self.unit) & (middle < limit)).all(-1)
        visible = (facing < 0) & inside
        billboard = self.owner < 0
        key = mean - self.bias
        # A billboard is seen from both sides, and hides by its distance as a whole.
        visible[:, billboard] = (vertices[:, self.quads[billboard], 2] > 0.2).all(-1)
        key[:, billboard] = self.bias[billboard]
        return dict(
            keypoints=keypoints,
            pixels=self.project(keypoints),
            heads=np.stack(heads, 1),
            vertices=vertices,
            flat=flat,
            key=key,
            visible=visible,
            shadows=np.stack(shadows, 1),
            light=turn @ self.light,
        )

    def _assemble(self):
        """Joins the meshes: quads (Q, 4), owner (Q,) person or -1, part (Q,) into PARTS or -1."""
        quads, owner, part, colors, bias, count = [], [], [], [], [], 0
        for index, person in enumerate(self.people):
            mesh = person.body.mesh
            quads.append(mesh.quads + count)
            owner.append(np.full(len(mesh.quads), index))
            part.append(mesh.quad_part)
            colors.append(mesh.colors)
            bias.append(mesh.bias)
            count += len(mesh.vertices)
        for item in self.occluders:
            cells = len(item.cells)
            quads.append(np.arange(4 * cells).reshape(-1, 4) + count)
            owner.append(np.full(cells, -1))
            part.append(np.full(cells, -1))
            colors.append(item.colors)
            bias.append(np.full(cells, item.depth))
            count += 4 * cells
        self.quads = np.concatenate(quads)
        self.owner, self.part = np.concatenate(owner), np.concatenate(part)
        self.colors = np.concatenate(colors).astype(np.float32)
        self.bias = np.concatenate(bias).astype(np.float32)

    def shade(self, geometry: dict[str, np.ndarray], index: int) -> np.ndarray:
        """(Q, 3) float32 BGR colours of all quads under the light at moment ``index``."""
        corners = geometry['vertices'][index][self.quads]
        normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
        middle = corners.mean(1)
        view = middle / np.linalg.norm(middle, axis=-1, keepdims=True)
        facing = np.clip(-(normal * view).sum(-1), 0, 1)
        shade = self.ambient + (1 - self.ambient) * np.maximum(
            normal @ geometry['light'][index].astype(np.float32), 0
        )
        # Silhouettes darken, so that an arm before a torso of the same cloth stays visible, and so
        # does what lies deeper than the body's middle.
        shade *= (1 - RIM) + RIM * np.minimum(facing / 0.55, 1)
        pelvis = geometry['keypoints'][index][:, 11:13, 2].mean(1)
        height = np.array([p.body.height for p in self.people])
        far = (middle[:, 2] - pelvis[self.owner]) / (0.2 * height[self.owner])
        shade *= 1 - 0.22 * np.clip(far, 0, 1)
        shade[self.owner < 0] = 1
        return np.clip(self.colors * shade[:, None], 0, 255).astype(np.float32)
