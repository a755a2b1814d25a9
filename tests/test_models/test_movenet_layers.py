"""MoveNet's convolutions, against a plain loop over TensorFlow's rule."""

import numpy as np
import pytest
import torch

from diffpose_mm.models.movenet_layers import InvertedResidual, SameConv2d, same_padding


def plain_convolution(image, weight, bias, stride):
    """'SAME' by its definition: output i is centred so that the windows cover the input evenly."""
    height, width = image.shape[1:]
    out_h, out_w = -(-height // stride), -(-width // stride)
    kernel = weight.shape[2]
    # Zeros that the last window needs beyond the input; the smaller half of them comes before.
    before = [
        max((out - 1) * stride + kernel - size, 0) // 2
        for out, size in ((out_h, height), (out_w, width))
    ]
    result = np.zeros((weight.shape[0], out_h, out_w))
    for o in range(weight.shape[0]):
        for i in range(out_h):
            for j in range(out_w):
                total = bias[o]
                for a in range(kernel):
                    for b in range(kernel):
                        y, x = i * stride + a - before[0], j * stride + b - before[1]
                        if 0 <= y < height and 0 <= x < width:
                            total += weight[o, :, a, b] @ image[:, y, x]
                result[o, i, j] = total
    return result


@pytest.mark.parametrize('size', [(6, 8), (5, 7), (6, 5), (1, 2)])
@pytest.mark.parametrize('stride', [1, 2])
def test_padding_is_tensorflows(size, stride):
    """Broken if an even size at stride 2 were padded on both sides, as PyTorch does."""
    torch.manual_seed(0)
    layer = SameConv2d(2, 3, 3, stride).double()
    image = torch.randn(1, 2, *size, dtype=torch.float64)
    expected = plain_convolution(
        image[0].numpy(), layer.weight.detach().numpy(), layer.bias.detach().numpy(), stride
    )
    np.testing.assert_allclose(layer(image)[0].detach().numpy(), expected, atol=1e-12)


def test_padding_by_hand():
    """Broken if the extra zero of an odd number stood before the input."""
    assert same_padding(256, 3, 2) == (0, 1)
    assert same_padding(255, 3, 2) == (1, 1)
    assert same_padding(7, 3, 1) == (1, 1)
    assert same_padding(8, 1, 2) == (0, 0)


def test_the_shortcut_is_there_where_both_ends_agree():
    """Broken if a block forgot its input, or added one of another size."""
    image = torch.ones(1, 4, 6, 6)
    for block, expected in (
        (InvertedResidual(4, 4, 1, 2), image),
        (InvertedResidual(4, 4, 2, 2), torch.zeros(1, 4, 3, 3)),
        (InvertedResidual(4, 6, 1, 2), torch.zeros(1, 6, 6, 6)),
    ):
        for weight in block.project.parameters():
            weight.data.zero_()
        assert torch.equal(block(image), expected)
