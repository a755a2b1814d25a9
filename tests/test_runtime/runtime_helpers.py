"""A short video of a figure that walks, and its boxes."""

from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs' / 'diffpose_synthetic.py')
CHECKPOINT = str(ROOT / 'projects' / 'demo' / 'checkpoints' / 'diffpose_synthetic.pth')


def walk(count, seed=0, size=(160, 120)):
    """``count`` frames HxWx3 with two figures that move across a smooth ground."""
    generator = np.random.default_rng(seed)
    ground = cv2.resize(generator.integers(60, 200, (6, 8, 3), dtype=np.uint8), size)
    frames, boxes = [], []
    for number in range(count):
        image, people = ground.copy(), []
        for x, y, step in ((40, 60, 2), (110, 64, -1)):
            x = x + step * number
            cv2.ellipse(image, (x, y), (9, 20), 5 * number, 0, 360, (40, 60, 180), -1)
            cv2.circle(image, (x, y - 27), 8, (150, 170, 220), -1)
            for side in (-1, 1):
                foot = (x + side * (4 + number % 5), y + 42)
                cv2.line(image, (x, y + 16), foot, (90, 50, 30), 5)
            people.append([x - 16.3, y - 38.2, x + 17.1, y + 44.4])
        frames.append(image)
        boxes.append(people)
    return frames, boxes
