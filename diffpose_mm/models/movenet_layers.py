"""The convolutions of MoveNet: TensorFlow's padding, and batch norms folded into them."""

import torch.nn.functional as F
from torch import Tensor, nn


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis, by TensorFlow's rule 'SAME'.

    The output has ``ceil(size / stride)`` places, and an odd number of zeros has the extra one
    behind: at stride 2 an even size is padded at the end alone, where PyTorch's ``padding=1`` pads
    both ends and so samples other pixels
    (https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2).
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution that is padded by :func:`same_padding`, whatever the size."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, **kwargs: object
    ) -> None:
        # At stride 1 an odd kernel is padded alike on both sides, which PyTorch does itself.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(in_channels, out_channels, kernel, stride, padding, **kwargs)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', ceil(H / stride), ceil(W / stride))."""
        if self.stride[0] > 1:
            sides = (
                *same_padding(x.shape[3], self.kernel_size[1], self.stride[1]),
                *same_padding(x.shape[2], self.kernel_size[0], self.stride[0]),
            )
            x = F.pad(x, sides)
        return super().forward(x)


class InvertedResidual(nn.Module):
    """A block of MobileNetV2 (https://arxiv.org/abs/1801.04381), without batch norms.

    Args:
        in_channels, out_channels: Its ends, which are linear.
        stride: Of the depthwise convolution.
        expansion: Channels within, over ``in_channels``; at 1 there is no convolution for it.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = in_channels * expansion
        self.expand = SameConv2d(in_channels, width, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(width, width, 3, stride, groups=width)
        self.project = SameConv2d(width, out_channels, 1)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.shortcut else y


class SeparableConv(nn.Module):
    """A depthwise 3x3 convolution without bias, a pointwise one, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = SameConv2d(in_channels, in_channels, 3, groups=in_channels, bias=False)
        self.pointwise = SameConv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        return F.relu(self.pointwise(self.depthwise(x)))


class Branch(nn.Sequential):
    """What each head of MoveNet is: a separable convolution and a linear one.

    Args:
        in_channels: Of the feature.
        out_channels: Of the answer.
        width: Between them.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int) -> None:
        super().__init__()
        self.add_module('hidden', SeparableConv(in_channels, width))
        self.add_module('final', SameConv2d(width, out_channels, 1))
