"""One synthetic video before it is drawn: people, camera, occluders and light over time.

Everything is drawn from one generator, so a video is a function of its seed alone.
"""

from collections.abc import Callable

import numpy as np

from .anatomy import PARTS
from .camera import Camera, follow
from .casting import Person, cast_people
from .difficulty import Difficulty
from .lens import Lens
from .light import Light
from .occluders import Occluder, place_occluders
from .panorama import Panorama, draw_panorama

SUPERSAMPLE = 2
# How much darker a surface is that is seen edge-on.
RIM = 0.45


class Scene:
    """A video's content.

    Attributes:
        people, occluders, camera, light, panorama: as given; ``lens`` is the camera's.
        quads: (Q, 4) vertex indices of all meshes and billboards.
        owner: (Q,) index of the person, -1 for a billboard.
        part: (Q,) index into PARTS, -1 for a billboard.
        colors: (Q, 3) float32 BGR.
        bias: (Q,) metres by which a quad is drawn nearer than it is; a billboard's distance.
    """

    def __init__(
        self,
        people: list[Person],
        camera: Camera,
        occluders: list[Occluder],
        light: Light,
        panorama: Panorama,
    ):
        self.people, self.camera, self.occluders = people, camera, occluders
        self.light, self.panorama, self.lens = light, panorama, camera.lens
        self._assemble()

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        size: tuple[int, int],
        frames: int,
        difficulty: Difficulty,
        cast: Callable[..., list[Person]] = cast_people,
    ) -> 'Scene':
        """Draw all of a video from one generator.

        Args:
            rng: the video's own generator.
            size: (width, height) pixels of a frame.
            frames: number of frames.
            difficulty: see Difficulty.
            cast: gives the people, called as :func:`cast_people` is.
        """
        # The order of these lines is part of what a seed means.
        duration = frames / difficulty.fps
        lens = Lens(rng, size)
        people = cast(rng, lens, duration, difficulty)
        camera = follow(rng, lens, people[0], duration, difficulty)
        occluders = place_occluders(rng, lens, people, duration, difficulty)
        light = Light(rng, lens, frames, difficulty)
        panorama = draw_panorama(rng, camera, difficulty)
        return cls(people, camera, occluders, light, panorama)

    def keypoints(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World keypoints of everybody at times (N,).

        Returns:
            (N, P, 17, 3) camera coordinates in metres and (N, P, 17, 2) image pixels.
        """
        turn = self.camera.rotation(t)
        world = np.stack([self._posed(p, t)[2] for p in self.people], 1)
        camera = np.einsum('nij,npkj->npki', turn, world)
        return camera, self.lens.project(camera)

    def _posed(self, person: Person, t: np.ndarray):
        origin, rot, keypoints = person.body.forward(person.motion(t))
        place = person.position(t)
        shift = np.stack([place[:, 0], np.full(len(t), self.lens.height), place[:, 1]], -1)
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
        n, turn = len(t), self.camera.rotation(t)
        turn32 = turn.astype(np.float32).transpose(0, 2, 1)
        vertices, keypoints, heads, shadows = [], [], [], []
        circle = np.arange(10) * 2 * np.pi / 10
        head = PARTS.index('head')
        for person in self.people:
            origin, rot, points = self._posed(person, t)
            vertices.append(person.mesh.posed(origin, rot) @ turn32)
            keypoints.append(points @ turn.transpose(0, 2, 1))
            outline = origin[:, head, None] + person.mesh.head_outline @ rot[:, head].transpose(
                0, 2, 1
            )
            outline = self.lens.project(outline @ turn.transpose(0, 2, 1))
            heads.append(np.concatenate([outline.min(1), outline.max(1)], -1))
            place = person.position(t)
            ring = np.zeros((n, 10, 3))
            ring[..., 0] = place[:, :1] + 0.15 * person.body.height * np.cos(circle)
            ring[..., 1] = self.lens.height
            ring[..., 2] = place[:, 1:] + 0.09 * person.body.height * np.sin(circle)
            ring = self.lens.project(ring @ turn.transpose(0, 2, 1))
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
        flat = vertices[..., :2] * (np.float32(self.lens.focal * SUPERSAMPLE) / depth)[..., None]
        flat += (self.lens.center * SUPERSAMPLE + 0.5).astype(np.float32)
        flat = np.rint(np.clip(flat, -9000, 9000)).astype(np.int32)

        i, j, k, m = self.quads.T
        mean = (depth[:, i] + depth[:, j] + depth[:, k] + depth[:, m]) / 4
        one, two = flat[:, k] - flat[:, i], flat[:, m] - flat[:, j]
        facing = one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0]
        middle = flat[:, i] + flat[:, k]
        # Opposite corners' midpoint; no quad of a person is wider than the tolerated margin.
        limit = np.array(self.lens.size) * (2 * SUPERSAMPLE) + 80 * self.lens.unit
        inside = ((middle > -80 * self.lens.unit) & (middle < limit)).all(-1)
        visible = (facing < 0) & inside
        billboard = self.owner < 0
        key = mean - self.bias
        # A billboard is seen from both sides, and hides by its distance as a whole.
        visible[:, billboard] = (vertices[:, self.quads[billboard], 2] > 0.2).all(-1)
        key[:, billboard] = self.bias[billboard]
        return dict(
            keypoints=keypoints,
            pixels=self.lens.project(keypoints),
            heads=np.stack(heads, 1),
            vertices=vertices,
            flat=flat,
            key=key,
            visible=visible,
            shadows=np.stack(shadows, 1),
            light=turn @ self.light.direction,
        )

    def _assemble(self):
        """Joins the meshes: quads (Q, 4), owner (Q,) person or -1, part (Q,) into PARTS or -1."""
        quads, owner, part, colors, bias, count = [], [], [], [], [], 0
        for index, person in enumerate(self.people):
            mesh = person.mesh
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
        shade = self.light.ambient + (1 - self.light.ambient) * np.maximum(
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
