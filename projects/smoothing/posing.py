"""Synthetic videos, posed once and kept: what the smoothers are measured on."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffpose_mm.synthetic import DIFFICULTIES, synthesize

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / 'projects/demo/checkpoints/diffpose_synthetic.pth'
STEPS, HYPOTHESES = 4, 10
"""What docs/hypotheses.md advises where the spread is wanted."""


@dataclass
class Truth:
    """A person of a video in truth, N frames.

    Attributes:
        frames: (N,) numbers of the frames, as the predictions have them.
        points: (N, K, 2) image pixels.
        present: (N, K) joints that are annotated.
        occluded: (N, K) of these, joints that something hides.
        size: (N,) root of the area of the box, image pixels.
    """

    frames: np.ndarray
    points: np.ndarray
    present: np.ndarray
    occluded: np.ndarray
    size: np.ndarray


def videos(
    out: Path, seed: int, count: int, frames: int, difficulty: str = 'standard'
) -> Iterator[tuple[list, dict]]:
    """Predictions (as ``infer`` writes them) and the people in truth of each video of a seed.

    Args:
        out: Folder that keeps everything; what is there is not made again.
        seed: Of the videos and of the model's noise.
        count: Number of videos.
        frames: Of each.
        difficulty: Of each.

    Yields:
        The frames of the predictions, and track id -> :class:`Truth`.
    """
    root = out / f'seed{seed}'
    annotations = root / 'annotations/posetrack18_val.json'
    if not annotations.exists():
        synthesize(
            str(root), 1, count, frames, seed=seed, difficulty=difficulty, workers=1, progress=True
        )
    content = json.loads(annotations.read_text())
    people = defaultdict(list)
    for annotation in content['annotations']:
        people[annotation['image_id']].append(annotation)
    images = defaultdict(list)
    for image in content['images']:
        images[image['vid_id']].append(image)
    inferencer = None
    for name, shots in sorted(images.items()):
        shots.sort(key=lambda image: image['file_name'])
        frames_of = [people[image['id']] for image in shots]
        poses = root / 'poses/predictions' / (Path(shots[0]['file_name']).parent.name + '.json')
        if not poses.exists():
            inferencer = inferencer or _inferencer(seed)
            run = inferencer(
                [str(root / image['file_name']) for image in shots],
                as_clip=True,
                fps=DIFFICULTIES[difficulty].fps,
                bboxes=[_boxes(found) for found in frames_of],
                sampling_steps=STEPS,
                num_hypotheses=HYPOTHESES,
                batch_size=8,
                pred_out_dir=str(poses.parent / name),
            )
            for _ in run:
                pass
            Path(run.files[0]).rename(poses)
        yield json.loads(poses.read_text()), _truth(frames_of)


def _inferencer(seed: int):
    from diffpose_mm.apis import DiffPoseInferencer
    from diffpose_mm.configs import read_config

    config = read_config('diffpose_synthetic')
    config.model.test_cfg.seed = seed
    return DiffPoseInferencer(config, str(CHECKPOINT), device='cpu', show_progress=True)


def _boxes(annotations: list[dict]) -> dict:
    boxes = [[x, y, x + w, y + h] for x, y, w, h in (a['bbox'] for a in annotations)]
    return dict(bboxes=boxes, track_ids=[a['track_id'] for a in annotations])


def _truth(frames_of: list[list[dict]]) -> dict[int, Truth]:
    rows = defaultdict(list)
    for frame, annotations in enumerate(frames_of):
        for a in annotations:
            joints = np.array(a['keypoints'], float).reshape(-1, 3)
            size = np.sqrt(a['bbox'][2] * a['bbox'][3])
            hidden = np.array(a['occluded'], bool)
            rows[a['track_id']].append((frame, joints[:, :2], joints[:, 2] > 0, hidden, size))
    return {track: Truth(*map(np.array, zip(*found))) for track, found in rows.items()}
