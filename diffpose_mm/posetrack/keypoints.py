"""PoseTrack's names of keypoints, its skeleton and its category."""

KEYPOINTS = (
    'nose',
    'head_bottom',
    'head_top',
    'left_ear',
    'right_ear',
    'left_shoulder',
    'right_shoulder',
    'left_elbow',
    'right_elbow',
    'left_wrist',
    'right_wrist',
    'left_hip',
    'right_hip',
    'left_knee',
    'right_knee',
    'left_ankle',
    'right_ankle',
)
"""The 17 keypoints of a PoseTrack18 file in its order; the ears are never annotated."""

_SKELETON = (
    (16, 14),
    (14, 12),
    (17, 15),
    (15, 13),
    (12, 13),
    (6, 12),
    (7, 13),
    (6, 7),
    (6, 8),
    (7, 9),
    (8, 10),
    (9, 11),
    (2, 3),
    (1, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
    (5, 7),
)
PERSON_CATEGORY = dict(
    supercategory='person',
    id=1,
    name='person',
    keypoints=list(KEYPOINTS),
    skeleton=[list(bone) for bone in _SKELETON],
)
"""The one entry of ``categories``."""

JOINTS = (
    'right_ankle',
    'right_knee',
    'right_hip',
    'left_hip',
    'left_knee',
    'left_ankle',
    'right_wrist',
    'right_elbow',
    'right_shoulder',
    'left_shoulder',
    'left_elbow',
    'left_wrist',
    'head_bottom',
    'nose',
    'head_top',
)
"""The 15 evaluated joints in the protocol's order."""
