"""Meshes of people: closed tubes of quads and flat decals on the rigid parts of a body."""

from dataclasses import dataclass

import numpy as np

from .anatomy import PART_ID, PARTS


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
        head_outline: (M, 3) surface points of the head in its part's frame, for ``bbox_head``.
    """

    vertices: np.ndarray
    vertex_part: np.ndarray
    quads: np.ndarray
    quad_part: np.ndarray
    colors: np.ndarray
    bias: np.ndarray
    head_outline: np.ndarray

    def posed(self, origin: np.ndarray, rot: np.ndarray) -> np.ndarray:
        """Vertices (N, V, 3) for part frames (N, 16, 3) and (N, 16, 3, 3), float32."""
        out = np.empty((len(origin), len(self.vertices), 3), np.float32)
        for i in range(len(PARTS)):
            mine = self.vertex_part == i
            out[:, mine] = self.vertices[mine] @ rot[:, i].transpose(0, 2, 1) + origin[:, i, None]
        return out


class MeshBuilder:
    """Collects the quads of a mesh; ``rng`` gives every quad its grain."""

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

    def decal(self, part, center, half_x, half_y, color, bias=0.03, yaw=0.0):
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
        self.add(part, vertices, [[0, 1, 2, 3]], [color], bias, (0, cy, -0.3), grain=0.02)

    def mesh(self, head_outline: np.ndarray) -> Mesh:
        """The mesh of all that was added."""
        cat = np.concatenate
        return Mesh(
            cat(self.vertices).astype(np.float32),
            cat(self.vertex_part),
            cat(self.quads),
            cat(self.quad_part),
            cat(self.colors).astype(np.float32),
            cat(self.bias),
            head_outline,
        )
