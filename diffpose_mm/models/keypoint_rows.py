"""Weights of a head for one set of keypoints made into those of a head for another set.

COCO-17 and PoseTrack-17 have the same number of keypoints, so weights of the one load into the
other without a word, and the rows of the eyes become those of head_bottom and head_top. Here rows
go by names: those of shared keypoints are taken, the others are left as they were initialised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ..keypoint_sets import places_in

KEYPOINT_AXES = {
    'final_layer.weight': 0,
    'final_layer.bias': 0,
    'time_rescale.conv.weight': 1,
}
"""Ends of the names of parameters that have one row a keypoint, and the axis of the rows: the last
layer of every head (mmpose's, and the pose decoder's), and the pose decoder's first layer, which
reads a noisy heatmap a keypoint."""


def map_keypoint_rows(
    weights: Mapping[str, Tensor],
    initial: Mapping[str, Tensor],
    source: Sequence[str],
    target: Sequence[str],
) -> tuple[dict[str, Tensor], list[str]]:
    """Map the keypoint-wise parameters of a head.

    Args:
        weights: Of a head whose keypoints are ``source``; names may have any prefix.
        initial: Of the head that is to be initialised, by the same names; left as they are.
        source: Names of S keypoints.
        target: Names of K keypoints.

    Returns:
        tuple: The weights, in which the keypoint-wise parameters have K rows; and the names of the
        target's keypoints that the source does not have, whose rows are those of ``initial``.

    Raises:
        ValueError: A parameter has another number of rows than there are names, or other axes that
            differ; no keypoint is shared.
    """
    places = places_in(source, target)
    new = (places >= 0).nonzero()[0].tolist()
    if not new:
        raise ValueError(
            f'no keypoint is shared: the weights have {", ".join(source)}, the head has '
            f'{", ".join(target)}'
        )
    old = places[new].tolist()
    mapped = dict(weights)
    for name, tensor in weights.items():
        axis = next((axis for end, axis in KEYPOINT_AXES.items() if _ends(name, end)), None)
        if axis is None or name not in initial:
            continue
        start = initial[name]
        for what, found, names in (('weights', tensor, source), ('head', start, target)):
            if found.shape[axis] != len(names):
                raise ValueError(
                    f'{name} of the {what} is for {found.shape[axis]} keypoints, and the set that '
                    f'is named has {len(names)}'
                )
        rows = start.detach().clone().transpose(0, axis)
        taken = tensor.transpose(0, axis)
        if rows.shape[1:] != taken.shape[1:]:
            raise ValueError(
                f'{name} is {tuple(tensor.shape)} in the weights and {tuple(start.shape)} in the '
                'head: they differ in more than keypoints'
            )
        rows[new] = taken[old].to(rows)
        mapped[name] = rows.transpose(0, axis).contiguous()
    return mapped, [name for name, place in zip(target, places) if place < 0]


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith('.' + end)
