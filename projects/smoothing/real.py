"""The man of balance, seen by four cameras: posed once and kept, with what the others see as truth.

60 frames a second, a still camera. The truth of a camera is where MoveNet Thunder sees the joint in
the three others, triangulated, made steady by the filter that is usual for captured motion (a
Butterworth low-pass filter of order 4 at 6 Hz, forwards and backwards): from frame to frame the
triangulated joints themselves shake more than the man does.
"""

import sys
from pathlib import Path

import numpy as np
from posing import HYPOTHESES, STEPS, Truth
from scipy.signal import butter, filtfilt

from diffpose_mm.files import read_json

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'real'))

from triangulation import from_other_views, read_calibration
from videos import joints_of, main_person, read_teacher

NAMES = [f'balance_cam{i}' for i in range(1, 5)]
BODY = np.arange(17) >= 5
CUT_OFF, RATE = 6.0, 60.0


def videos(folder: Path, labels: str, out: Path, count: int = 4) -> list[tuple[list, dict]]:
    """Predictions and truth of each camera, as :func:`posing.videos` gives them.

    Args:
        folder: With the videos and their calibration.
        labels: Thunder's, as projects/real/compare.py writes them.
        out: Folder that keeps the poses.
        count: The first so many cameras; all say what is true.
    """
    people = {name: main_person(read_teacher(labels, name)) for name in NAMES}
    joints, scores = map(np.stack, zip(*(joints_of(people[name]) for name in NAMES)))
    cameras = read_calibration(folder / 'balance_calibration.qca.txt')
    seen = from_other_views(cameras, joints, scores)
    steady = filtfilt(*butter(2, CUT_OFF / (RATE / 2)), seen, axis=1)
    inferencer, found = None, []
    for name, points in list(zip(NAMES, steady))[:count]:
        file = out / 'real' / f'{name}.json'
        boxes = [person['bbox'][0] for person in people[name] if person]
        if not file.exists():
            inferencer = inferencer or _inferencer()
            given = {
                frame: dict(bboxes=[person['bbox'][0]], track_ids=[0])
                for frame, person in enumerate(people[name])
                if person
            }
            run = inferencer(
                str(folder / f'{name}.mp4'),
                bboxes=given,
                sampling_steps=STEPS,
                num_hypotheses=HYPOTHESES,
                streaming=True,
                batch_size=8,
                pred_out_dir=str(file.parent / 'parts'),
            )
            for _ in run:
                pass
            Path(run.files[0]).rename(file)
        low, high = np.split(np.array(boxes), 2, axis=1)
        size = float(np.sqrt(np.prod(np.median(high - low, axis=0))))
        count = len(points)
        truth = Truth(
            np.arange(count),
            points,
            np.broadcast_to(BODY, points.shape[:2]),
            np.zeros(points.shape[:2], bool),
            np.full(count, size),
        )
        found.append((read_json(str(file)), {0: truth}))
    return found


def _inferencer():
    from diffpose_mm.apis import DiffPoseInferencer

    return DiffPoseInferencer(device='cpu', show_progress=True)
