"""The fields of an annotation that evaluators of the COCO style stumble over if they are missing.

pycocotools, xtcocotools and faster-coco-eval read ``area`` of every person, ``bbox`` of every
person without keypoints, and take those of ``num_keypoints`` 0 or ``iscrowd`` 1 as to be ignored;
pycocotools takes an annotation whose ``id`` is 0 for none. poseval ranks joints by ``scores`` and
takes (0, 0, 0) for a joint that is not there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

AREA_OF_BOX = 0.53
"""The area of a person in shares of its box, as mmpose takes it where a file has no area
(base_coco_style_dataset.py)."""
LEAST_SCORE = 1e-6
"""Of a joint that is there, as third value of its keypoint: 0 would say that it is not."""


def with_evaluator_fields(annotation: dict[str, Any]) -> dict[str, Any]:
    """A copy of an annotation with ``num_keypoints``, ``area``, ``iscrowd`` and a box.

    What is there stays. The area is that of the box times :data:`AREA_OF_BOX`; of a person with
    keypoints and no box, of the box around them. A person with neither gets an empty box.

    Args:
        annotation: With ``keypoints``, triples x, y, v in image pixels, or without.
    """
    full = dict(annotation)
    triples = np.asarray(full.get('keypoints') or [], dtype=np.float64).reshape(-1, 3)
    there = triples.any(axis=1)
    if full.get('num_keypoints') is None:
        full['num_keypoints'] = int(there.sum())
    full['iscrowd'] = int(full.get('iscrowd') or 0)
    box = full.get('bbox')
    if not box and there.any():
        width, height = np.ptp(triples[there, :2], axis=0).tolist()
    else:
        full['bbox'] = box = box or [0, 0, 0, 0]
        width, height = box[2:]
    if full.get('area') is None:
        full['area'] = round(max(AREA_OF_BOX * width * height, 0.0), 2)
    return full


def submitted_keypoints(
    points: np.ndarray, scores: np.ndarray, present: np.ndarray
) -> list[list[float]]:
    """Triples x, y, score as all evaluators read them.

    Args:
        points: (K, 2) image pixels.
        scores: (K, ).
        present: (K, ) whether the joint is there.

    Returns:
        list: K triples: (0, 0, 0) of a joint that is not there, and a third value that is not 0 of
        one that is.
    """
    thirds = np.where(np.abs(scores) < LEAST_SCORE, LEAST_SCORE, scores)
    triples = np.column_stack([points, thirds]).astype(np.float64)
    return np.where(np.asarray(present, dtype=bool)[:, None], triples, 0.0).tolist()
