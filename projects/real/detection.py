"""How many of the people of real videos a detector finds, against a count by eye.

    python projects/real/detection.py ../shared          # the table
    python projects/real/detection.py ../shared crowd    # a picture put together of 30 people

Twelve frames of each video, spread over it. PEOPLE is how many people were seen on them by looking;
a detector's boxes with a score above 0.3 are counted, up to that number, and what is more is extra.
Boxes are not matched with people one by one: looking at the drawn frames showed none beside one.
"""

import sys
import time
from pathlib import Path

import cv2
import numpy as np

from diffpose_mm.detectors import Detections, find_detector, select_persons
from diffpose_mm.detectors.multipose import MultiPoseDetector

FRAMES = 12
SCORE = 0.3
PEOPLE = {
    'balance_cam1': [2] * FRAMES,
    'balance_cam2': [2] * FRAMES,
    'balance_cam3': [1] * FRAMES,
    'balance_cam4': [1] * FRAMES,
    'pair_cam1': [3] * FRAMES,
    'pair_cam2': [3] * FRAMES,
    'pair_cam3': [2] * FRAMES,
    'pair_cam4': [2] * FRAMES,
    'walk_and_roof': [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 0],
    'squats': [1] * FRAMES,
    'room': [1] * FRAMES,
    'juggle': [1] * FRAMES,
    'dog': [1] * FRAMES,
}


def frames_of(path):
    """FRAMES of a video, spread over it."""
    reader = cv2.VideoCapture(str(path))
    frames = []
    while (found := reader.read())[0]:
        frames.append(found[1])
    return [frames[i] for i in np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)]


class CenterNet:
    """The published centernet graph, on a frame fitted into 512x512."""

    def __init__(self, shared):
        sys.path.insert(0, str(Path(shared) / 'tools'))
        import torch
        from tfjs_torch import Graph

        self.torch = torch
        self.graph = Graph(str(Path(shared, 'real', 'weights', 'centernet.json')))

    def __call__(self, frames):
        """Boxes of label 0, person."""
        found = []
        for frame in frames:
            scale = 512 / max(frame.shape[:2])
            small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            picture = np.zeros((512, 512, 3), np.float32)
            picture[: small.shape[0], : small.shape[1]] = small[..., ::-1]
            with self.torch.no_grad():
                image = self.torch.from_numpy(picture)[None]
                rows = self.graph.run(image, ['tower_0/detections'])[0][0].numpy()
            found.append(Detections(rows[:, :4] / scale, rows[:, 4], rows[:, 5].astype(int)))
        return found


def main(shared):
    """Print the table."""
    shipped = find_detector('movenet-multipose', device='cpu')
    small, large = (MultiPoseDetector('cpu', (side,)) for side in (256, 512))
    for detector in (shipped, small, large):
        detector.prepare()
    columns = {
        'shipped': (shipped, 0.3),
        'shipped, --nms-thr 0.5': (shipped, 0.5),
        '256 alone': (small, 0.3),
        '512 alone': (large, 0.3),
        'centernet': (CenterNet(shared), 0.3),
    }
    print('| video | people seen |', ' | '.join(columns), '|')
    print('|---|---:|' + '---:|' * len(columns))
    totals, seconds = np.zeros((len(columns), 2), int), 0.0
    for video, counts in PEOPLE.items():
        row = []
        frames = frames_of(Path(shared, 'real', 'videos', f'{video}.mp4'))
        start = time.process_time()
        shipped(frames)
        seconds += time.process_time() - start
        for i, (detector, nms_thr) in enumerate(columns.values()):
            found = extra = 0
            for output, frame, count in zip(detector(frames), frames, counts, strict=True):
                number = len(select_persons(output, (0,), frame.shape[:2], SCORE, nms_thr))
                found, extra = found + min(number, count), extra + max(number - count, 0)
            totals[i] += found, extra
            row.append(f'{found}' + (f' + {extra} extra' if extra else ''))
        print(f'| {video} | {sum(counts)} |', ' | '.join(row), '|', flush=True)
    print(
        f'| all | {sum(map(sum, PEOPLE.values()))} |',
        ' | '.join(f'{found}' + (f' + {extra} extra' if extra else '') for found, extra in totals),
        '|',
    )
    print(f'shipped: {seconds / FRAMES / len(PEOPLE):.2f} s of processor time a frame')


def crowd(shared):
    """Print how many are found of 30 people on one picture, at several sizes."""
    tiles = []
    for video, left, right in (('juggle', 480, 800), ('squats', 75, 645)):
        frame = frames_of(Path(shared, 'real', 'videos', f'{video}.mp4'))[6]
        tiles.append(cv2.resize(frame[:, left:right], (200, 450)))
    row = np.hstack([*tiles, *(tile[:, ::-1] for tile in tiles)] * 2 + tiles)
    picture = np.vstack([row] * 3)
    for sides in ((256, 512), (512, 1024)):
        detector = MultiPoseDetector('cpu', sides)
        detector.prepare()
        found = select_persons(detector([picture])[0], (0,), picture.shape[:2], SCORE, 0.3)
        print(
            f'{picture.shape[1]}x{picture.shape[0]}, 30 people, sizes {sides}: {len(found)} found'
        )


if __name__ == '__main__':
    (crowd if sys.argv[2:] == ['crowd'] else main)(sys.argv[1])
