"""Frames and their boxes to entries of a predictions file, as ``infer`` writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .poser import ExportedPoser
from .tracking import BoxTracker
from .windows import Frame, FrameWindows, Window, check_mode

FORMAT = 'diffpose_mm predictions 2'
HYPOTHESES = ('hypotheses', 'hypothesis_scores')
FindPeople = Callable[[Sequence[int], Sequence[np.ndarray]], list]


def infer(
    poser: ExportedPoser,
    frames: Iterable[Frame],
    find: FindPeople,
    mode: str = 'offline',
    batch_size: int = 8,
    with_hypotheses: bool = False,
    tracking_thr: float = 0.3,
) -> Iterator[dict[str, Any]]:
    """The entry of each frame, in order, each as soon as its window is complete.

    Args:
        poser: An :class:`ExportedPoser`, or the streaming one.
        frames: See :func:`read_frames`.
        find: Gives the people of some frames, as :class:`GivenBoxes` does.
        mode: 'offline' or 'causal'.
        batch_size: People in a pass.
        with_hypotheses: Whether every hypothesis is given.
        tracking_thr: Least overlap of the boxes of one person from frame to frame.

    Returns:
        Iterator[dict]: ``frame_id``, ``time``, ``frames_used``, ``replicated``, ``mode`` and
        ``instances``, coordinates in image pixels; docs/predictions.md has the fields.

    Raises:
        ValueError: An unknown mode, or a batch of nobody.
    """
    check_mode(mode)
    if batch_size < 1:
        raise ValueError(f'batch_size={batch_size} has to be at least 1')
    tracker = BoxTracker(tracking_thr)
    windows = FrameWindows(poser.frame_offsets, mode)
    waiting: list[Window] = []

    def posed() -> Iterator[dict[str, Any]]:
        jobs = [(window, person) for window in waiting for person in window.frame.people]
        batches = (jobs[i : i + batch_size] for i in range(0, len(jobs), batch_size))
        found = iter([pose for batch in batches for pose in poser(batch)])
        for window in waiting:
            poses = [next(found) for _ in window.frame.people]
            yield _entry(window, mode, poses, with_hypotheses)
        waiting.clear()

    for frame in frames:
        if frame.fault is None:
            frame.people = find([frame.index], [np.asarray(frame.image)])[0]
        tracker(frame.people)
        waiting += windows.push(frame)
        if sum(len(window.frame.people) for window in waiting) >= batch_size:
            yield from posed()
    waiting += windows.flush()
    yield from posed()


def _entry(
    window: Window, mode: str, poses: Sequence[dict[str, np.ndarray]], with_hypotheses: bool
) -> dict[str, Any]:
    frame = window.frame
    entry: dict[str, Any] = dict(
        frame_id=frame.index,
        time=frame.time,
        frames_used=list(window.frame_ids),
        replicated=list(window.replicated),
        mode=mode,
    )
    if frame.fault is not None:
        entry.update(frames_used=[], replicated=[], fault=frame.fault)
    entry['instances'] = []
    for person, pose in zip(frame.people, poses):
        instance = dict(
            keypoints=pose['keypoints'][0].tolist(),
            keypoint_scores=pose['keypoint_scores'][0].tolist(),
            bbox=[person.box.tolist()],
            bbox_score=float(np.float32(person.score)),
            track_id=person.track_id,
        )
        if 'keypoint_std' in pose:
            instance['keypoint_std'] = pose['keypoint_std'][0].tolist()
        if with_hypotheses:
            instance.update({name: pose[name][0].tolist() for name in HYPOTHESES if name in pose})
        entry['instances'].append(instance)
    return entry
