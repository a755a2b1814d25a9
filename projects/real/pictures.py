"""Examples beside each other: the keyframe as it was given, and what each model makes of it."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from clips import RealClip

from diffpose_mm.keypoint_sets import keypoint_set

SHOWN, WIDTH = 6, 300
COLOURS = dict(truth=(80, 220, 80), thunder=(60, 90, 240), ours=(240, 170, 40))
TITLES = dict(truth='whole clip', thunder='Thunder', ours='DiffPose')
TOP = 26


def draw_examples(
    path: Path,
    clips: Sequence[RealClip],
    answers: dict[str, Sequence[np.ndarray]],
    shown: int = SHOWN,
) -> None:
    """A row for each of some clips, a column for the labels and for each model."""
    names = keypoint_set('coco17')
    links = [(names.keypoints.index(a), names.keypoints.index(b)) for a, b in names.bones]
    rows = []
    for i in np.linspace(0, len(clips) - 1, min(shown, len(clips))).round().astype(int):
        clip = clips[i]
        image = clip.job[0].frame.image
        low, high = clip.joints[clip.labelled].min(0), clip.joints[clip.labelled].max(0)
        centre, half = (low + high) / 2, 0.65 * (high - low).max()
        scale = WIDTH / (2 * half)
        matrix = np.array([[scale, 0, -scale * (centre[0] - half)],
                           [0, scale, -scale * (centre[1] - half)]])  # fmt: skip
        crop = cv2.warpAffine(image, matrix, (WIDTH, WIDTH))
        tiles = [crop]
        for name, joints in dict(truth=clip.joints, **{n: answers[n][i] for n in TITLES
                                                       if n != 'truth'}).items():  # fmt: skip
            tile = crop.copy()
            places = np.rint(joints @ matrix[:, :2].T + matrix[:, 2]).astype(int)
            for a, b in links:
                if clip.labelled[a] and clip.labelled[b]:
                    cv2.line(tile, places[a].tolist(), places[b].tolist(), COLOURS[name], 3,
                             cv2.LINE_AA)  # fmt: skip
            for k in np.flatnonzero(clip.labelled):
                cv2.circle(tile, places[k].tolist(), 4, COLOURS[name], -1, cv2.LINE_AA)
            tiles.append(tile)
        rows.append(np.hstack(tiles))
    head = np.full((TOP, rows[0].shape[1], 3), 255, np.uint8)
    for column, title in enumerate(['keyframe as given', *TITLES.values()]):
        cv2.putText(head, title, (column * WIDTH + 8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 0, 1,
                    cv2.LINE_AA)  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack([head, *rows]))
