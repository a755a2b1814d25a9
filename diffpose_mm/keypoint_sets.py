"""Named sets of keypoints, and which keypoints two of them share.

COCO-17 and PoseTrack-17 have the same number of keypoints and differ in two of them: places 1 and 2
are the eyes in COCO and ``head_bottom`` (the upper neck) and ``head_top`` in PoseTrack. So sets are
converted by names. What a set does not have stays absent; nothing is made up of other keypoints.

Sources of names, bones and sigmas: mmpose's ``coco.py``, ``posetrack18.py``, ``halpe26.py`` and
``coco_wholebody.py`` (feet); for BODY_25 OpenPose's documentation of its output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ['KEYPOINT_SETS', 'KeypointSet', 'find_keypoint_set', 'keypoint_set', 'places_in']

_LIMBS = ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
_BODY = tuple(f'{side}_{part}' for part in _LIMBS for side in ('left', 'right'))
_FACE = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear')
_COCO = (*_FACE, *_BODY)
_HEAD = ('head_bottom', 'head_top')
_FEET = ('left_big_toe', 'right_big_toe', 'left_small_toe', 'right_small_toe',
         'left_heel', 'right_heel')  # fmt: skip

_COMPARABLE = frozenset((*_COCO, *_HEAD, *_FEET))
"""Names that mean one and the same keypoint in every set. Others do not: ``neck`` is annotated in
Halpe and JHMDB, each in its own way, and the middle of the shoulders in BODY_25."""

_SIGMAS = dict(
    zip(
        _COCO,
        (
            0.026,
            0.025,
            0.025,
            0.035,
            0.035,
            0.079,
            0.079,
            0.072,
            0.072,
            0.062,
            0.062,
            0.107,
            0.107,
            0.087,
            0.087,
            0.089,
            0.089,
        ),
    )  # fmt: skip
)
_FOOT_SIGMAS = dict(zip(_FEET, (0.068, 0.092, 0.066, 0.094, 0.066, 0.094)))

_LIMB_BONES = (
    *((f'{side}_{a}', f'{side}_{b}') for side in ('left', 'right')
      for a, b in (('ankle', 'knee'), ('knee', 'hip'), ('shoulder', 'elbow'), ('elbow', 'wrist'))),
)  # fmt: skip
_TRUNK = (
    ('left_hip', 'right_hip'),
    ('left_shoulder', 'left_hip'),
    ('right_shoulder', 'right_hip'),
    ('left_shoulder', 'right_shoulder'),
)
_FACE_BONES = (
    ('left_eye', 'right_eye'),
    ('nose', 'left_eye'),
    ('nose', 'right_eye'),
    ('left_eye', 'left_ear'),
    ('right_eye', 'right_ear'),
)
_HEAD_BONES = (
    ('nose', 'head_bottom'),
    ('nose', 'head_top'),
    ('head_bottom', 'left_shoulder'),
    ('head_bottom', 'right_shoulder'),
)


@dataclass(frozen=True)
class KeypointSet:
    """Keypoints in their order.

    Attributes:
        name: How it is asked for.
        keypoints: K names.
        bones: Pairs of names.
        sigmas: K constants of OKS; NaN where nobody has published one.
        dataset_name: Of mmpose's metainfo of the same keypoints, where it has one.
        never_labelled: Keypoints that have a place and no labels; a model does not learn them.
    """

    name: str
    keypoints: tuple[str, ...]
    bones: tuple[tuple[str, str], ...]
    sigmas: tuple[float, ...]
    dataset_name: str
    never_labelled: tuple[str, ...] = ()

    @property
    def flip_indices(self) -> list[int]:
        """For each keypoint the place of its mirror image."""
        return [self.keypoints.index(_mirrored(name)) for name in self.keypoints]

    @property
    def skeleton(self) -> list[list[int]]:
        """The bones as pairs of places, from 0."""
        return [[self.keypoints.index(a), self.keypoints.index(b)] for a, b in self.bones]

    def metainfo(self) -> dict[str, Any]:
        """The set as ``dataset_info`` in mmpose's form, for ``parse_pose_metainfo``."""
        colors = {'left': [0, 255, 0], 'right': [255, 128, 0]}

        def color(name: str) -> list[int]:
            return colors.get(name.split('_')[0], [51, 153, 255])

        return dict(
            dataset_name=self.dataset_name,
            paper_info={},
            keypoint_info={
                index: dict(
                    name=name,
                    id=index,
                    color=color(name),
                    type='lower' if name.endswith(_LOWER) else 'upper',
                    swap=_mirrored(name) if _mirrored(name) != name else '',
                )
                for index, name in enumerate(self.keypoints)
            },
            skeleton_info={
                index: dict(link=pair, id=index, color=color(pair[1]))
                for index, pair in enumerate(self.bones)
            },
            joint_weights=[1.0] * len(self.keypoints),
            sigmas=list(self.sigmas),
        )


_LOWER = ('hip', 'knee', 'ankle', 'toe', 'heel')


def _mirrored(name: str) -> str:
    for side, other in (('left_', 'right_'), ('right_', 'left_')):
        if name.startswith(side):
            return other + name.removeprefix(side)
    return name


def _make(
    name: str,
    keypoints: Sequence[str],
    bones: Sequence[tuple[str, str]],
    sigmas: dict[str, float],
    dataset_name: str | None = None,
    never_labelled: tuple[str, ...] = (),
) -> KeypointSet:
    known = {**_SIGMAS, **sigmas}
    return KeypointSet(
        name,
        tuple(keypoints),
        tuple(bones),
        tuple(known.get(joint, float('nan')) for joint in keypoints),
        dataset_name or name,
        never_labelled,
    )


_POSETRACK_SIGMAS = dict(head_bottom=0.025, head_top=0.025)
_EAR_BONES = (('left_ear', 'left_shoulder'), ('right_ear', 'right_shoulder'))
_FOOT_BONES = tuple(
    (f'{side}_ankle', f'{side}_{part}')
    for side in ('left', 'right')
    for part in ('big_toe', 'small_toe', 'heel')
)

KEYPOINT_SETS = {
    made.name: made
    for made in (
        _make('coco17', _COCO, (*_LIMB_BONES, *_TRUNK, *_FACE_BONES, *_EAR_BONES), {}, 'coco'),
        _make(
            'posetrack17',
            ('nose', *_HEAD, 'left_ear', 'right_ear', *_BODY),
            (*_LIMB_BONES, *_TRUNK, *_HEAD_BONES),
            _POSETRACK_SIGMAS,
            'posetrack18',
            ('left_ear', 'right_ear'),
        ),
        # The joints that PoseTrack evaluates, in the order of its protocol.
        _make(
            'posetrack15',
            (
                *(f'right_{part}' for part in ('ankle', 'knee', 'hip')),
                *(f'left_{part}' for part in ('hip', 'knee', 'ankle')),
                *(f'right_{part}' for part in ('wrist', 'elbow', 'shoulder')),
                *(f'left_{part}' for part in ('shoulder', 'elbow', 'wrist')),
                'head_bottom',
                'nose',
                'head_top',
            ),
            (*_LIMB_BONES, *_TRUNK, *_HEAD_BONES),
            _POSETRACK_SIGMAS,
        ),
        _make(
            'halpe26',
            (*_COCO, 'head', 'neck', 'hip', *_FEET),
            (
                *_LIMB_BONES,
                ('left_hip', 'hip'),
                ('right_hip', 'hip'),
                ('head', 'neck'),
                ('neck', 'hip'),
                ('neck', 'left_shoulder'),
                ('neck', 'right_shoulder'),
                *_FACE_BONES,
                *_EAR_BONES,
                *_FOOT_BONES,
            ),
            dict(head=0.026, neck=0.026, hip=0.066, **dict.fromkeys(_FEET, 0.079)),
        ),
        _make(
            'body25',
            (
                'nose',
                'neck',
                *(f'right_{part}' for part in ('shoulder', 'elbow', 'wrist')),
                *(f'left_{part}' for part in ('shoulder', 'elbow', 'wrist')),
                'mid_hip',
                *(f'right_{part}' for part in ('hip', 'knee', 'ankle')),
                *(f'left_{part}' for part in ('hip', 'knee', 'ankle')),
                'right_eye',
                'left_eye',
                'right_ear',
                'left_ear',
                *(f'left_{part}' for part in ('big_toe', 'small_toe', 'heel')),
                *(f'right_{part}' for part in ('big_toe', 'small_toe', 'heel')),
            ),
            (
                *_LIMB_BONES,
                ('neck', 'mid_hip'),
                ('neck', 'left_shoulder'),
                ('neck', 'right_shoulder'),
                ('mid_hip', 'left_hip'),
                ('mid_hip', 'right_hip'),
                ('neck', 'nose'),
                ('nose', 'left_eye'),
                ('nose', 'right_eye'),
                ('left_eye', 'left_ear'),
                ('right_eye', 'right_ear'),
                *_FOOT_BONES,
            ),
            _FOOT_SIGMAS,
        ),
    )
}
"""Name -> set."""


def keypoint_set(name: str) -> KeypointSet:
    """The set of a name.

    Raises:
        ValueError: There is none.
    """
    if name not in KEYPOINT_SETS:
        raise ValueError(f'keypoints={name!r} must be one of {", ".join(KEYPOINT_SETS)}')
    return KEYPOINT_SETS[name]


def find_keypoint_set(keypoints: Sequence[str]) -> KeypointSet | None:
    """The set that has exactly these keypoints in this order, or None."""
    found = (s for s in KEYPOINT_SETS.values() if s.keypoints == tuple(keypoints))
    return next(found, None)


def places_in(source: Sequence[str], target: Sequence[str]) -> np.ndarray:
    """Where the keypoints of a set lie in another one.

    Args:
        source: K names, of a model or a file.
        target: L names that are wanted.

    Returns:
        np.ndarray: (L, ) places in ``source``, -1 for those that it does not have. Names count as
        the same keypoint where all sets agree on what they mean, and between equal sets. A set's
        keypoints that are never labelled (PoseTrack-17's ears) count as not there.
    """
    if tuple(source) == tuple(target):
        return np.arange(len(target))
    known = find_keypoint_set(source)
    unknown = () if known is None else known.never_labelled
    place = {
        name: index
        for index, name in enumerate(source)
        if name in _COMPARABLE and name not in unknown
    }
    return np.array([place.get(name, -1) for name in target], dtype=np.int64)
