"""Smoothed predictions against truth, over all people of all videos."""

from collections import defaultdict

import numpy as np

from diffpose_mm.evaluation.pose_motion import (
    acceleration_errors,
    still_jitter,
    velocity_errors,
)

STILL = 0.5
"""Pixels a frame below which a joint is at rest."""


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float('nan')


def score(videos) -> dict[str, float]:
    """Figures over videos of (predictions, truth), as :func:`posing.videos` gives them.

    Returns:
        Percent of joints within 0.1 of the person's size (``PCK``, ``occluded``, ``clear``), mean
        errors in pixels (``error``, ``MPJVE`` a frame, ``MPJAE`` a frame^2) and ``jitter``.
    """
    columns = defaultdict(list)
    for predictions, truths in videos:
        found = {
            (person['track_id'], entry['frame_id']): person
            for entry in predictions
            for person in entry['instances']
        }
        for track, truth in truths.items():
            points = np.full(truth.points.shape, np.nan)
            for row, frame in enumerate(truth.frames):
                person = found.get((track, int(frame)))
                if person is not None:
                    points[row] = person['keypoints']
            real = np.where(truth.present[..., None], truth.points, np.nan)
            errors = np.linalg.norm(points - real, axis=-1)
            hits = errors <= 0.1 * truth.size[:, None]
            columns['PCK'].append(hits[truth.present])
            columns['occluded'].append(hits[truth.present & truth.occluded])
            columns['clear'].append(hits[truth.present & ~truth.occluded])
            columns['error'].append(errors[truth.present])
            if len(points) < 3:
                continue
            columns['MPJVE'].append(velocity_errors(points, real, truth.frames))
            columns['MPJAE'].append(acceleration_errors(points, real, truth.frames))
            columns['jitter'].append(still_jitter(points, real, truth.frames, STILL))
    means = {name: _mean(np.concatenate([v.ravel() for v in vs])) for name, vs in columns.items()}
    return {
        n: float(v * (100 if n in ('PCK', 'occluded', 'clear') else 1)) for n, v in means.items()
    }
