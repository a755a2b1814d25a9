"""Clips from the loader to the network: one batch, on its device, normalised.

mmpose's preprocessor takes single images: with clips it fails, or exchanges frames in place of
channels.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.utils import is_seq_of
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class ClipDataPreprocessor(PoseDataPreprocessor):
    """Stack clips (T, 3, h, w) to a batch (N, T, 3, h, w), move it, and normalise it.

    Args:
        mean (Sequence[float], optional): Mean of the channels in the order after conversion.
            Defaults to None.
        std (Sequence[float], optional): Their standard deviation. Defaults to None.
        num_frames (int, optional): T. Where given, clips of another length are an error. Defaults
            to None.
        **kwargs: ``pad_size_divisor``, ``pad_value``, ``bgr_to_rgb``, ``rgb_to_bgr``,
            ``non_blocking`` and ``batch_augments`` of mmpose's :class:`PoseDataPreprocessor`.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        num_frames: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(mean=mean, std=std, **kwargs)
        self.num_frames = num_frames

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare a batch.

        Args:
            data (dict): ``inputs``: list of N tensors (T, 3, h, w) or one tensor (N, T, 3, h, w),
                usually uint8 BGR; ``data_samples``: list of N samples, or absent. Or, in place of
                inputs, ``features``: list of N tensors (T, C, H, W), which are stacked and moved.
            training (bool): Whether ``batch_augments`` are applied. Defaults to False.

        Returns:
            dict: ``inputs``: float tensor (N, T, 3, h', w') on the model's device, where h' and w'
            are the next multiples of ``pad_size_divisor``; ``data_samples``, whose metainfo now
            also has ``batch_input_shape`` and ``pad_shape``, both (h', w').

        Raises:
            ValueError: The inputs are not clips of one shape, or not of ``num_frames`` frames.
        """
        if 'features' in data:
            # torch's mixed precision of the CPU does not know float16.
            with torch.autocast('cpu', enabled=False):
                features = torch.stack(list(data['features']))
            kept = self.cast_data({**data, 'features': features})
            return {**kept, 'features': kept['features'].float()}
        # Stacked as bytes, so that a single copy of a quarter of the size goes to the device.
        data = self.cast_data({**data, 'inputs': self._stack(data['inputs'])})
        inputs = data['inputs']
        if self._channel_conversion:
            inputs = inputs[:, :, [2, 1, 0]]
        if inputs.is_floating_point():
            inputs = inputs.clone()  # what follows is done in place, and this is still the caller's
        inputs = inputs.float()
        if self._enable_normalize:
            inputs.sub_(self.mean).div_(self.std)

        height, width = inputs.shape[-2:]
        pad_h, pad_w = (-size % self.pad_size_divisor for size in (height, width))
        if pad_h or pad_w:
            inputs = F.pad(inputs, (0, pad_w, 0, pad_h), value=self.pad_value)

        data_samples = data.get('data_samples')
        shape = tuple(inputs.shape[-2:])
        for data_sample in data_samples or []:
            data_sample.set_metainfo(dict(batch_input_shape=shape, pad_shape=shape))
        if training and self.batch_augments is not None:
            for batch_aug in self.batch_augments:
                inputs, data_samples = batch_aug(inputs, data_samples)
        return dict(inputs=inputs, data_samples=data_samples)

    def _stack(self, inputs: Tensor | list[Tensor]) -> Tensor:
        if isinstance(inputs, Tensor):
            shapes = [tuple(inputs.shape[1:])]
        elif inputs and is_seq_of(inputs, Tensor):
            shapes = sorted({tuple(clip.shape) for clip in inputs})
        else:
            raise ValueError(
                'inputs has to be clips (T, 3, h, w) in a list, or one tensor (N, T, 3, h, w), but '
                f'is {inputs if inputs == [] else type(inputs)}'
            )
        for shape in shapes:
            if len(shape) == 3:
                raise ValueError(
                    f'inputs holds a single image of shape {shape}, not a clip (T, 3, h, w): load '
                    'it with LoadClip, which makes a clip (1, 3, h, w) of one frame too'
                )
            if len(shape) != 4 or shape[1] != 3:
                raise ValueError(f'inputs holds a clip of shape {shape}, which is not (T, 3, h, w)')
            if self.num_frames not in (None, shape[0]):
                raise ValueError(
                    f'inputs holds a clip of {shape[0]} frames, shape {shape}, but num_frames='
                    f"{self.num_frames}: let the dataset's frame_offsets and the model agree"
                )
        if len(shapes) > 1:
            raise ValueError(
                'inputs holds clips of different shapes (T, 3, h, w), '
                f'{", ".join(map(str, shapes))}: all datasets of a batch need equally many '
                'frame_offsets and the same input_size'
            )
        return inputs if isinstance(inputs, Tensor) else torch.stack(list(inputs))
