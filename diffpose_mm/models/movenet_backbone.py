"""MoveNet's backbone: MobileNetV2 and a feature pyramid, for any input size."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from .movenet_layers import InvertedResidual, SameConv2d, SeparableConv

# Expansion, channels at width 1, blocks, stride of the first: table 2 of arXiv 1801.04381.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM_CHANNELS, LAST_CHANNELS = 32, 1280
# Blocks whose output the pyramid takes; block 9 is the last of 64 channels at width 1.
LATERAL_BLOCKS = {'lateral4': 2, 'lateral8': 5, 'lateral16': 9}
LAST_BLOCK_AT_16 = 12
PYRAMID = (64, 32, 24, 24)
"""Channels of the pyramid at strides 16 (merged, before its convolution), 16, 8 and 4."""
STRIDE = 32
OUTPUTS = ('c4', 'c8', 'c16', 'c32', 'm16', 'p16', 'p8', 'p4', 's16')


def rounded_channels(channels: float) -> int:
    """To the next multiple of 8, and not below nine tenths: MobileNet's rule."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


@MODELS.register_module()
class MoveNetBackbone(BaseModule):
    """MobileNetV2 and the feature pyramid of MoveNet Thunder or MultiPose.

    The structure is that of the published TensorFlow.js graphs ``movenet/singlepose/thunder/4``
    (width 1.75) and ``movenet/multipose/lightning/1`` (width 1.5). Batch norms are folded into the
    convolutions, as the graphs have them: nothing differs between training and testing. Input is
    RGB, ``pixel * 0.00784302 - 1`` (mean and std of 127.50191).

    Outputs, by their names:

    =======  ======  ========================  =====================================================
    name     stride  channels (1.75 / 1.5)     what it is
    =======  ======  ========================  =====================================================
    c4       4       40 / 40                   MobileNet's last block of the stride, linear
    c8       8       56 / 48                   the same
    c16      16      168 / 144                 the same (block 12)
    c32      32      1280                      its last layer
    m16      16      64                        the pyramid's sum: upsampled stride 32, block 9
    p16      16      32                        the pyramid after its convolution
    p8       8       24                        the same
    p4       4       24                        the same; what MoveNet's heads read
    s16      16      200 / 176                 c16 and p16 one behind the other
    =======  ======  ========================  =====================================================

    ``s16`` is meant for a neck: c16 alone lacks the last four blocks, which are half of the
    network, and p16 alone, which has seen them, is narrow. Both are of one scale (standard
    deviation near 7 on a photograph; m16's is near 80).

    Args:
        width (float): Multiplies MobileNet's channels. Defaults to 1.75 (Thunder).
        outputs (Sequence[str]): What :meth:`forward` gives, in this order; a neck of this package
            takes the last. Defaults to ``('p4', 's16')``.
        frozen (bool): Whether no weight is trained. Defaults to False.
        init_cfg (dict, optional): Defaults to Kaiming's normal initialisation. To start from the
            weights that come along: ``dict(type='Pretrained',
            checkpoint='shipped://movenet-thunder')``; a file of a whole model is understood, with
            and without mmengine's ``prefix``.

    Raises:
        ValueError: An output is unknown.
    """

    def __init__(
        self,
        width: float = 1.75,
        outputs: Sequence[str] = ('p4', 's16'),
        frozen: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        unknown = [name for name in outputs if name not in OUTPUTS]
        if unknown or not outputs:
            raise ValueError(
                f'MoveNetBackbone: outputs={tuple(outputs)} must be some of {", ".join(OUTPUTS)}'
            )
        self.outputs, self.width = tuple(outputs), width

        channels = rounded_channels(STEM_CHANNELS * width)
        self.stem = SameConv2d(3, channels, 3, 2)
        blocks: list[InvertedResidual] = []
        widths: list[int] = []
        for expansion, stage_channels, count, stride in STAGES:
            out = rounded_channels(stage_channels * width)
            for i in range(count):
                blocks.append(InvertedResidual(channels, out, stride if i == 0 else 1, expansion))
                widths.append(channels := out)
        self.blocks = nn.ModuleList(blocks)
        self.last = SameConv2d(channels, LAST_CHANNELS, 1)

        merged, at16, at8, at4 = PYRAMID
        self.lateral32 = SameConv2d(LAST_CHANNELS, merged, 1)
        self.lateral16 = SameConv2d(widths[LATERAL_BLOCKS['lateral16']], merged, 1)
        self.lateral8 = SameConv2d(widths[LATERAL_BLOCKS['lateral8']], at16, 1)
        self.lateral4 = SameConv2d(widths[LATERAL_BLOCKS['lateral4']], at8, 1)
        self.smooth16 = SeparableConv(merged, at16)
        self.smooth8 = SeparableConv(at16, at8)
        self.smooth4 = SeparableConv(at8, at4)

        self.channels = dict(
            c4=widths[LATERAL_BLOCKS['lateral4']],
            c8=widths[LATERAL_BLOCKS['lateral8']],
            c16=widths[LAST_BLOCK_AT_16],
            c32=LAST_CHANNELS,
            m16=merged,
            p16=at16,
            p8=at8,
            p4=at4,
            s16=widths[LAST_BLOCK_AT_16] + at16,
        )
        self.register_load_state_dict_pre_hook(_take_own_part)
        if frozen:
            self.requires_grad_(False)

    def own_key(self, key: str) -> str | None:
        """What a weight of a whole MoveNet is called in here; None where it is another part's."""
        return key.removeprefix('backbone.') if key.startswith('backbone.') else None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features of images.

        Args:
            x (Tensor): (N, 3, h, w), normalised RGB; h and w are multiples of 32.

        Returns:
            tuple[Tensor, ...]: (N, C, h / stride, w / stride) each, as ``outputs`` names them.

        Raises:
            ValueError: Another size.
        """
        if x.shape[-2] % STRIDE or x.shape[-1] % STRIDE or 0 in x.shape[-2:]:
            raise ValueError(
                f'MoveNetBackbone: the input is {tuple(x.shape)}, height and width have to be '
                f'multiples of {STRIDE}: change input_size of the codec, or pad_size_divisor of '
                'the data preprocessor'
            )
        found: dict[str, Tensor] = {}
        laterals: dict[str, Tensor] = {}
        x = F.relu6(self.stem(x))
        for i, block in enumerate(self.blocks):
            x = block(x)
            for name, index in LATERAL_BLOCKS.items():
                if i == index:
                    laterals[name] = x
            if i == LAST_BLOCK_AT_16:
                found['c16'] = x
        found['c4'], found['c8'] = laterals['lateral4'], laterals['lateral8']
        found['c32'] = F.relu6(self.last(x))

        found['m16'] = _doubled(self.lateral32(found['c32'])) + self.lateral16(
            laterals['lateral16']
        )
        found['p16'] = self.smooth16(found['m16'])
        found['p8'] = self.smooth8(_doubled(found['p16']) + self.lateral8(found['c8']))
        found['p4'] = self.smooth4(_doubled(found['p8']) + self.lateral4(found['c4']))
        if 's16' in self.outputs:
            found['s16'] = torch.cat((found['c16'], found['p16']), dim=1)
        return tuple(found[name] for name in self.outputs)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)


def _take_own_part(
    module: nn.Module, state_dict: dict[str, Any], prefix: str, *unused: object
) -> None:
    """Weights of a whole model, loaded into this module alone: those that it has."""
    if f'{prefix}stem.weight' in state_dict or f'{prefix}backbone.stem.weight' not in state_dict:
        return
    assert isinstance(module, MoveNetBackbone)
    for key in [key for key in state_dict if key.startswith(prefix)]:
        value = state_dict.pop(key)
        own = module.own_key(key[len(prefix) :])
        if own is not None:
            state_dict[prefix + own] = value
