"""Where the other cameras of a scene say that a joint is, in the pixels of one.

Calibration is read from Qualisys's file (.qca.txt): lengths on the sensor are in 64ths of a pixel,
the camera looks along its negative z axis with y up. Checked by the residual of all four views.
"""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

UNITS_A_PIXEL = 64


@dataclass
class Camera:
    """A calibrated camera, as OpenCV has it: x right, y down, z forward.

    Attributes:
        matrix: (3, 3), pixels.
        distortion: (4, ) k1, k2, p1, p2.
        rotation: (3, 3) and translation: (3, ) from the world, in the file's unit of length.
    """

    matrix: np.ndarray
    distortion: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) in the world to (N, 2) in pixels."""
        turn = cv2.Rodrigues(self.rotation)[0]
        return cv2.projectPoints(
            points.astype(float), turn, self.translation, self.matrix, self.distortion
        )[0][:, 0]

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """(N, 2) pixels to (N, 2) places on the plane at distance one, distortion removed."""
        return cv2.undistortPoints(pixels[:, None].astype(float), self.matrix, self.distortion)[
            :, 0
        ]


def read_calibration(path: Path) -> list[Camera]:
    """The cameras of a Qualisys calibration, in its order."""
    cameras = []
    for node in ET.parse(path).getroot().iter('camera'):
        place, lens = node.find('transform').attrib, node.find('intrinsic').attrib
        rotation = np.array([[float(place[f'r{i}{j}']) for j in '123'] for i in '123'])
        rotation = np.diag((1, -1, -1)) @ rotation
        centre = np.array([float(place[axis]) for axis in 'xyz'])
        fx, fy, cx, cy = (
            float(lens[key]) / UNITS_A_PIXEL
            for key in ('focalLengthU', 'focalLengthV', 'centerPointU', 'centerPointV')
        )
        distortion = [
            float(lens[key])
            for key in (
                'radialDistortion1',
                'radialDistortion2',
                'tangentalDistortion1',
                'tangentalDistortion2',
            )
        ]
        cameras.append(
            Camera(
                np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
                np.array(distortion),
                rotation,
                -rotation @ centre,
            )
        )
    return cameras


def triangulate(cameras: list[Camera], pixels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Places in the world from their pixels, by the direct linear transform.

    Args:
        cameras: V.
        pixels: (V, N, 2).
        weights: (V, N).

    Returns:
        (N, 3).
    """
    rows = []
    for camera, places, weight in zip(cameras, pixels, weights):
        x, y = camera.rays(places).T
        view = np.column_stack((camera.rotation, camera.translation))
        rows.append(weight[:, None] * (x[:, None] * view[2] - view[0]))
        rows.append(weight[:, None] * (y[:, None] * view[2] - view[1]))
    solution = np.linalg.svd(np.stack(rows, axis=1))[2][:, -1]
    return solution[:, :3] / solution[:, 3:]


def from_other_views(cameras: list[Camera], pixels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each view's joints as the other views see them.

    Args:
        cameras: V.
        pixels: (V, F, K, 2).
        weights: (V, F, K).

    Returns:
        (V, F, K, 2) pixels of each view.
    """
    views, frames, joints = weights.shape
    result = np.empty_like(pixels)
    for view, camera in enumerate(cameras):
        others = [i for i in range(views) if i != view]
        world = triangulate(
            [cameras[i] for i in others],
            pixels[others].reshape(views - 1, -1, 2),
            weights[others].reshape(views - 1, -1),
        )
        result[view] = camera.project(world).reshape(frames, joints, 2)
    return result
