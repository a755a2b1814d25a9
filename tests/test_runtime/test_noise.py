"""Noise without torch is that of torch."""

import numpy as np
import pytest
import torch

from diffpose_mm_runtime.noise import standard_normal


@pytest.mark.parametrize('seed', [0, 5, 2**32 + 1, 2**62 + 12345, 2**63 - 1])
@pytest.mark.parametrize('shape', [(17, 32, 24), (15, 7, 5), (16,), (31,)])
def test_equals_torch(seed, shape):
    """Broken if seeding, words, pairs or the last block were others than those of torch."""
    expected = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).numpy()
    np.testing.assert_allclose(standard_normal(seed, shape), expected, rtol=0, atol=3e-6)


def test_fewer_than_a_block():
    """Broken if noise were given that torch does not have."""
    with pytest.raises(ValueError, match='fewer than 16'):
        standard_normal(0, (3, 5))
