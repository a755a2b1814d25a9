"""Agreement of several hypotheses of one pose, and the one that agrees best with the others.

The paper combines several sets of pose estimates and does not say how. Their mean mixes poses; the
consensus is one of them as it is: the minimum Bayes risk decision under OKS, with the hypotheses as
samples of the distribution. Points and area may be in any pixels, as long as both are in the same.
"""

import numpy as np


def oks(poses: np.ndarray, others: np.ndarray, area: float, sigmas: np.ndarray) -> np.ndarray:
    """Object keypoint similarity of poses (..., K, 2) with others, which broadcast."""
    squares = ((poses - others) ** 2).sum(-1)
    return np.exp(-squares / (2 * area * (2 * sigmas) ** 2 + 1e-12)).mean(-1)


def expected_oks(hypotheses: np.ndarray, area: float, sigmas: np.ndarray) -> np.ndarray:
    """Mean OKS of each hypothesis with all the others.

    Args:
        hypotheses: (N, K, 2).
        area: Of the person, square pixels.
        sigmas: (K, ) of the keypoints.

    Returns:
        np.ndarray: (N, ); one hypothesis alone has 1.
    """
    number = len(hypotheses)
    if number == 1:
        return np.ones(1)
    similar = oks(hypotheses[:, None], hypotheses, area, sigmas)
    return (similar.sum(1) - 1) / (number - 1)


def consensus(hypotheses: np.ndarray, area: float, sigmas: np.ndarray) -> int:
    """Index of the whole hypothesis that agrees best with the others by expected OKS."""
    return int(np.argmax(expected_oks(hypotheses, area, sigmas)))
