"""Predictions of a video as inference writes them."""

import numpy as np

JOINTS = 6
BODY = np.array([[0, 0], [30, 5], [10, 60], [35, 80], [5, 120], [28, 118]], float)


def person(at, track=None, std=None, scores=None, noise=0.0, rng=None):
    """A person at a place; ``track`` their number or None."""
    points = BODY + at
    if noise:
        points = points + rng.normal(0, noise, points.shape)
    box = [*points.min(0) - 10, *points.max(0) + 10]
    found = dict(
        keypoints=points.tolist(),
        keypoint_scores=[0.9] * JOINTS if scores is None else list(scores),
        bbox=[[float(v) for v in box]],
        bbox_score=0.8,
    )
    if std is not None:
        found['keypoint_std'] = np.broadcast_to(std, (JOINTS, 2)).tolist()
    if track is not None:
        found['track_id'] = track
    return found


def walk(frames=20, fps=25.0, noise=2.0, seed=0, tracks=(0, 1), std=2.0, timed=True):
    """Frames with people who walk, the first two to the right, 300 px from each other."""
    rng = np.random.default_rng(seed)
    entries = []
    for frame in range(frames):
        entry = dict(
            frame_id=frame,
            instances=[
                person([50 + 3 * frame + 300 * n, 40], track, std, noise=noise, rng=rng)
                for n, track in enumerate(tracks)
            ],
        )
        if timed:
            entry['time'] = frame / fps
        entries.append(entry)
    entries[0]['meta'] = dict(format='diffpose_mm predictions 2', fps=fps)
    entries[0]['run'] = dict(input=dict(name='walk.mp4'))
    return entries


def places(entries, track, joint=0):
    """frame -> x of a joint of the person with this number."""
    return {
        entry['frame_id']: p['keypoints'][joint][0]
        for entry in entries
        for p in entry['instances']
        if p.get('track_id') == track
    }
