"""The video of the streaming benchmark: one person who walks round an oval."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from diffpose_mm.synthetic.anatomy import Body
from diffpose_mm.synthetic.casting import Person as Walker
from diffpose_mm.synthetic.casting import time_grid
from diffpose_mm.synthetic.difficulty import Difficulty
from diffpose_mm.synthetic.labels import annotate
from diffpose_mm.synthetic.lens import Lens
from diffpose_mm.synthetic.motion import Motion
from diffpose_mm.synthetic.render import render
from diffpose_mm.synthetic.scene import Scene
from diffpose_mm.synthetic.wardrobe import dress

FPS = 25.0


class _OvalWalk(Motion):
    """A gait on an oval: its heading is that of the way."""

    def heading(self, t: np.ndarray) -> np.ndarray:
        return np.interp(t, self.moments, self.headings)


def _oval_walker(
    rng: np.random.Generator, lens: Lens, duration: float, difficulty: Difficulty
) -> list[Walker]:
    """One person who walks round an oval: seen from all sides, nearer and farther."""
    body = Body(rng)
    depth = lens.focal * body.height / (125 * lens.unit)
    mesh = dress(body, rng, lens.focal * body.height / depth)
    motion = _OvalWalk(rng, duration, ('walk',), 0.0)
    motion.arm = None
    angle = np.linspace(0, 60 * np.pi, 60001)
    oval = np.stack([0.42 * depth * np.sin(angle), depth - 0.25 * depth * np.cos(angle)], -1)
    step = np.diff(oval, axis=0)
    way = np.concatenate([[0], np.cumsum(np.hypot(*step.T))])
    grid = time_grid(duration)
    speed = motion.speeds[0] * body.height / 1.7
    path = np.stack([np.interp(speed * (grid - grid[0]), way, oval[:, i]) for i in (0, 1)], -1)
    heading = np.unwrap(np.arctan2(step[:, 0], -step[:, 1]))
    motion.moments = grid
    motion.headings = np.interp(speed * (grid - grid[0]), way[1:], heading)
    return [Walker(body, mesh, motion, grid, path)]


def walk_scene(frames: int, size: tuple[int, int] = (640, 480), seed: int = 6) -> Scene:
    """The scene of the cost benchmark: a walk before a hand-held camera that follows loosely."""
    calm = Difficulty(
        occluders=0, static_occluders=0, shake=0.008, pan=0.05, defocus=0, gain=0.1, noise=3.0
    )
    scene = Scene.draw(np.random.default_rng(seed), size, frames, calm, cast=_oval_walker)
    # The generator's 15 frames a second to those of a usual camera.
    scene.light.times = scene.light.times * calm.fps / FPS
    scene.light.exposure = scene.light.exposure * calm.fps / FPS
    return scene


def walking_person(
    frames: int, size: tuple[int, int] = (640, 480), seed: int = 6
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Frames (h, w, 3) BGR of a walk, and in each the person's box as PoseTrack draws it.

    The box is x1, y1, x2, y2 in image pixels, or None where too little of the person is seen.
    """
    scene = walk_scene(frames, size, seed)
    for frame in render(scene):
        people, _ = annotate(scene, frame)
        box = None
        if people:
            x, y, width, height = people[0]['bbox']
            box = np.array([x, y, x + width, y + height], np.float32)
        yield frame.image, box


def write_walk(path: Path, frames: int, seed: int) -> None:
    """Write the walk as a video with its boxes, to be looked at."""
    writer = None
    for image, box in walking_person(frames, seed=seed):
        if writer is None:
            size = image.shape[1::-1]
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), FPS, size)
            if not writer.isOpened():
                raise SystemExit(f'cannot write {path}')
        if box is not None:
            corners = box.round().astype(int).tolist()
            cv2.rectangle(image, corners[:2], corners[2:], (0, 255, 255), 1)
        writer.write(image)
    writer.release()
