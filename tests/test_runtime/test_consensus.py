"""Agreement of hypotheses, against plain loops."""

import math

import numpy as np
from mmpose.evaluation.functional.nms import oks_iou

from diffpose_mm.codecs import consensus, expected_oks
from diffpose_mm_runtime.consensus import oks

SIGMAS = np.array([0.03, 0.05, 0.05, 0.09])
POSE = np.array([[50.0, 10], [20, 50], [80, 50], [50, 90]])


def looped(hypotheses, area):
    """Expected OKS, COCO's formula joint by joint."""
    values = []
    for i, one in enumerate(hypotheses):
        total = 0.0
        for j, other in enumerate(hypotheses):
            if i != j:
                for (x, y), (u, v), sigma in zip(one, other, SIGMAS):
                    distance = (x - u) ** 2 + (y - v) ** 2
                    total += math.exp(-distance / (2 * area * (2 * sigma) ** 2)) / len(SIGMAS)
        values.append(total / (len(hypotheses) - 1))
    return values


def test_oks_is_that_of_mmpose():
    """Broken if best-of-N OKS were another measure than that of mmpose's NMS."""
    poses = POSE + np.random.default_rng(0).normal(0, 8, (6, 4, 2))
    area = 5000.0
    flat = np.concatenate([poses, np.ones((6, 4, 1))], axis=-1).reshape(6, -1)
    true = np.concatenate([POSE, np.ones((4, 1))], axis=-1).ravel()
    expected = oks_iou(true, flat, area, np.full(6, area), sigmas=SIGMAS)
    np.testing.assert_allclose(oks(poses, POSE, area, SIGMAS), expected, rtol=1e-6)


def test_expected_oks_is_the_mean_over_the_others():
    """Broken if a hypothesis counted itself, or a joint's sigma were not the joint's."""
    poses = POSE + np.random.default_rng(1).normal(0, 5, (5, 4, 2))
    np.testing.assert_allclose(expected_oks(poses, 4e3, SIGMAS), looped(poses, 4e3), rtol=1e-9)


def test_the_consensus_is_a_whole_pose_of_the_majority():
    """Broken if the choice were another than the best, or a mixture of poses."""
    noise = np.random.default_rng(2).normal(0, 1, (5, 4, 2))
    mirrored = POSE[[0, 2, 1, 3]]
    poses = np.stack([mirrored, POSE, mirrored, POSE, POSE]) + noise
    assert consensus(poses, 1e4, SIGMAS) == int(np.argmax(looped(poses, 1e4)))
    assert consensus(poses, 1e4, SIGMAS) in (1, 3, 4)
    assert consensus(poses[:1], 1e4, SIGMAS) == 0


def test_the_unit_of_length_does_not_matter():
    """Broken if the choice in input pixels were not the one in image pixels."""
    poses = POSE + np.random.default_rng(3).normal(0, 5, (6, 4, 2))
    scaled = expected_oks(0.3 * poses + 7, 0.09 * 4e3, SIGMAS)
    np.testing.assert_allclose(scaled, expected_oks(poses, 4e3, SIGMAS), rtol=1e-9)
