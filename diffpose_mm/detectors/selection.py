"""Persons out of what a network found: the same rules for every detector."""

from collections.abc import Mapping, Sequence

import numpy as np
from mmpose.evaluation.functional import nms

from .interface import Detections, DetectorError

PERSON = 'person'
SHOWN_NAMES = 8


def person_labels(
    names: Mapping[int, str] | None,
    cat_ids: Sequence[int] | None = None,
    fallback: int | None = None,
) -> tuple[int, ...]:
    """The labels that mean people.

    Numbers differ from library to library (0 in mmdet and most of transformers, 1 in torchvision
    and DETR), so the name counts.

    Args:
        names: Of the labels; None where nothing says them.
        cat_ids: Labels that the user names; they need no name.
        fallback: The label where no name fits.

    Raises:
        DetectorError: No label is called person, or one that is named does not exist.
    """
    if cat_ids is not None:
        unknown = [label for label in cat_ids if names is not None and label not in names]
        if unknown:
            raise DetectorError(f'it has no label {unknown[0]}; it has {_listed(names)}')
        return tuple(cat_ids)
    found = [label for label, name in (names or {}).items() if is_person(name)]
    if not found and fallback is not None:
        found = [fallback]
    if not found:
        raise DetectorError(
            f'none of its labels is called {PERSON} (they are {_listed(names)}): say which mean '
            'people with det_cat_ids= (--det-cat-ids)'
        )
    return tuple(found)


def is_person(name: str) -> bool:
    """Whether a label's name says person, however it is written."""
    return name.strip().casefold() == PERSON


def _listed(names: Mapping[int, str] | None) -> str:
    if not names:
        return 'not named'
    shown = [f'{label} {name}' for label, name in list(names.items())[:SHOWN_NAMES]]
    return ', '.join(shown) + (', ...' if len(names) > SHOWN_NAMES else '')


def select_persons(
    found: Detections,
    labels: Sequence[int],
    size: tuple[int, int] | None,
    bbox_thr: float,
    nms_thr: float,
    limit: int | None = None,
) -> np.ndarray:
    """The persons of a frame, best first.

    Args:
        found: What the network says.
        labels: Those that mean people.
        size: Height and width of the frame; None leaves boxes that go beyond it as they are.
        bbox_thr: Boxes need a higher score.
        nms_thr: IoU above which the lesser of two boxes is left out (mmpose's rule).
        limit: The most persons of a frame. Defaults to all.

    Returns:
        np.ndarray: (N, 5) x1, y1, x2, y2, score in pixels of the frame, float32; every box has an
        area.
    """
    chosen = np.isin(found.labels, labels) & (found.scores > bbox_thr)
    rows = np.concatenate((found.boxes, found.scores[:, None]), axis=1)[chosen]
    rows = rows.astype(np.float32)
    if size is not None:
        height, width = size
        rows[:, :4] = rows[:, :4].clip(0, (width, height, width, height))
    # A box with a NaN compares as false, and goes: it would suppress all others.
    rows = rows[((rows[:, 2:4] - rows[:, :2]) > 0).all(axis=1)]
    # An empty array has no rows to suppress.
    rows = rows[nms(rows, nms_thr)] if len(rows) else rows
    return rows[:limit]
