"""Agreement of several hypotheses of one pose, and the one that agrees best with the others.

The paper combines several sets of pose estimates and does not say how. Their mean mixes poses;
the consensus is one of them as it is (the least risk under OKS, with the hypotheses as
distribution). In any pixels, as long as points and area have the same.
"""

import numpy as np


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
    squares = ((hypotheses[:, None] - hypotheses[None]) ** 2).sum(-1)
    similar = np.exp(-squares / (2 * area * (2 * sigmas) ** 2 + 1e-12)).mean(-1)
    return (similar.sum(1) - 1) / (number - 1)


def consensus(hypotheses: np.ndarray, area: float, sigmas: np.ndarray) -> int:
    """Number of the whole hypothesis that agrees best with the others by expected OKS."""
    return int(expected_oks(hypotheses, area, sigmas).argmax())
