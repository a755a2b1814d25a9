"""Labels for one set of keypoints as those of a data set that has another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ...keypoint_sets import find_keypoint_set, keypoint_set, places_in


def check_label_keypoints(where: str, categories: Sequence, own: Sequence[str]) -> None:
    """Refuse a file that says that its keypoints are another set than the data set's.

    COCO-17 and PoseTrack-17 have equally many, so nothing else would tell them apart.

    Raises:
        ValueError: It does.
    """
    stated = categories[0].get('keypoints') if categories else None
    if not isinstance(stated, list) or not all(isinstance(name, str) for name in stated):
        return
    theirs, ours = find_keypoint_set(stated), find_keypoint_set(own)
    if theirs is not None and ours is not None and theirs is not ours:
        raise ValueError(
            f'{where}: its keypoints are {theirs.name}, those of the data set {ours.name}: give '
            f'label_keypoints={theirs.name!r}, and shared ones are taken by name'
        )


def convert_labels(annotations: Iterable[dict], labels: str, own: Sequence[str]) -> None:
    """Put the keypoints of annotations into the places of another set, in place.

    Args:
        annotations: With ``keypoints``, triples x, y, v; ``occluded`` and ``blurred`` come along.
        labels: Name of their set.
        own: K names that are wanted. One that the set does not have is not annotated: (0, 0, 0).

    Raises:
        ValueError: There is no such set, or nothing is shared.
    """
    names = keypoint_set(labels).keypoints
    places = places_in(names, own)
    if (places < 0).all():
        raise ValueError(
            f'label_keypoints={labels!r} shares none of the keypoints {", ".join(own)}'
        )
    for annotation in annotations:
        for field, width in (('keypoints', 3), ('occluded', 1), ('blurred', 1)):
            values = annotation.get(field)
            if not values:
                continue
            rows = np.asarray(values).reshape(len(names), width)[places]
            rows[places < 0] = 0
            annotation[field] = rows.ravel().tolist()
        if annotation.get('keypoints'):
            rows = np.reshape(annotation['keypoints'], (-1, 3))
            annotation['num_keypoints'] = int(rows.any(axis=1).sum())
