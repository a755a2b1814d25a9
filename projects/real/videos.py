"""Whole videos of real people: both models on the same boxes, frame by frame."""

import time
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose

from diffpose_mm.apis import (
    DiffPoseInferencer,
    Frame,
    StreamingPoser,
    iterate_windows,
)
from diffpose_mm.apis.label_smoothing import local_parabolas
from diffpose_mm.apis.people import Person
from diffpose_mm.apis.poser import FramePoser
from diffpose_mm.apis.windows import clip_offsets
from diffpose_mm.files import read_json
from diffpose_mm.models import ClipNeck

SLOW = 0.2
"""A joint counts as still or slowly moving below this, in sizes of the person a second."""


def read_teacher(root: str, video: str) -> list[dict]:
    """What the teacher said of a video, frame by frame."""
    return read_json(str(Path(root, 'teacher', video, f'{video}.json')))


def main_person(entries: list[dict]) -> list[dict | None]:
    """The person with the highest box of each frame."""
    found: list[dict | None] = []
    for entry in entries:
        people = entry['instances']
        heights = [person['bbox'][0][3] - person['bbox'][0][1] for person in people]
        found.append(people[int(np.argmax(heights))] if people else None)
    return found


def joints_of(people: list[dict | None]) -> tuple[np.ndarray, np.ndarray]:
    """(F, 17, 2) joints and (F, 17) scores; NaN and 0 where there is nobody."""
    joints = np.full((len(people), 17, 2), np.nan)
    scores = np.zeros((len(people), 17))
    for i, person in enumerate(people):
        if person is not None:
            joints[i], scores[i] = person['keypoints'], person['keypoint_scores']
    return joints, scores


def pose_video(inferencer: DiffPoseInferencer, path: str, people: list[dict | None]) -> np.ndarray:
    """Joints of the person whose boxes are given, (F, 17, 2); NaN where there is none.

    As `infer` does it by default: a model of clips sees each frame once.
    """
    boxes = {
        i: dict(bboxes=[person['bbox'][0]], track_ids=[0])
        for i, person in enumerate(people)
        if person is not None
    }
    joints = np.full((len(people), 17, 2), np.nan)
    streaming = isinstance(getattr(inferencer.model, 'neck', None), ClipNeck)
    options = dict(streaming=streaming, batch_size=8)
    for result in inferencer(path, as_clip=True, bboxes=boxes, **options):
        for person in result['predictions'][0]:
            joints[result['frames'][0]['frame_id']] = person['keypoints']
    return joints


def jitter(joints: np.ndarray, reference: np.ndarray, size: float, fps: float) -> np.ndarray:
    """Second differences of joints that stand still or move slowly, as shares of the person's size.

    Args:
        joints: (F, K, 2).
        reference: (F, K, 2), who moves slowly is told by these, steadied over 0.15 s either way.
        size: Of the person, in pixels.
        fps: Frames a second.

    Returns:
        Lengths, of all slow joints and frames.
    """
    frames = np.arange(len(reference), dtype=float)
    seen = np.isfinite(reference).all(-1)
    steady = np.stack(
        [
            local_parabolas(frames, np.nan_to_num(reference[:, k]), seen[:, k] * 1.0, 0.15 * fps)
            for k in range(reference.shape[1])
        ],
        axis=1,
    )
    speed = np.linalg.norm(steady[2:] - steady[:-2], axis=-1) / 2 * fps / size
    length = np.linalg.norm(joints[2:] - 2 * joints[1:-1] + joints[:-2], axis=-1) / size
    whole = np.isfinite(length) & seen[2:] & seen[1:-1] & seen[:-2]
    return length[whole & (speed < SLOW)]


def cost(
    ours: DiffPoseInferencer,
    thunder: DiffPoseInferencer,
    images: list[np.ndarray],
    people: list[dict | None],
) -> dict[str, float]:
    """Processor time of a person-frame of a stream beside one Thunder pass, without flips.

    Both are given the frame and its box, and what they do to crop it is in the time. The two take
    turns, frame by frame; each goes first as often as the other.

    Returns:
        dict: Medians in milliseconds, and the median of the ratios frame by frame.
    """
    torch.set_num_threads(1)
    offsets = clip_offsets(ours.cfg)
    stream = StreamingPoser(ours.model, Compose(ours.cfg.test_dataloader.dataset.pipeline), offsets)
    single = FramePoser(
        thunder.model, thunder.pipeline, dict(thunder.model.test_cfg, flip_test=False)
    )
    frames = [
        Frame(i, f'{i:06d}.jpg', image, people=[Person(np.float32(person['bbox'][0]), 1.0, 0)])
        for i, (image, person) in enumerate(zip(images, people))
        if person is not None
    ]
    times: list[tuple[float, float]] = []
    for turn, window in enumerate(iterate_windows(iter(frames), offsets, 'offline')):
        taken = {}
        order = (stream, single) if turn % 2 else (single, stream)
        for poser in order:
            start = time.process_time()
            poser([(window, window.frame.people[0])])
            taken[id(poser)] = time.process_time() - start
        times.append((taken[id(stream)], taken[id(single)]))
    # The first windows fill the stream's memory.
    times = times[len(offsets) :]
    own, other = np.array(times).T
    return dict(
        frames=len(times),
        ours_ms=float(np.median(own) * 1000),
        thunder_ms=float(np.median(other) * 1000),
        ratio=float(np.median(own / other)),
        ratio_of_sums=float(own.sum() / other.sum()),
    )
