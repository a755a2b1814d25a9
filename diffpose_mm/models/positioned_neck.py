"""Temporal necks whose tokens have a learnable position for each frame and location."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from .clip_neck import ClipNeck


class PositionedClipNeck(ClipNeck):
    """Base class of necks with a ``position_embedding`` (T, D, H, W).

    What it adds to :class:`ClipNeck` is about checkpoints: one of another input size is resized,
    one of a single frame starts a neck of more (:meth:`inflate`), one of another T is refused.

    Args:
        embed_dims (int): D.
        feature_size (tuple[int, int]): (W, H) of the backbone's feature: the input size over
            the backbone's stride.
        Others as in :class:`ClipNeck`.
    """

    feature_size: tuple[int, int]

    def __init__(
        self,
        in_channels: int,
        feature_size: tuple[int, int],
        num_frames: int,
        embed_dims: int,
        out_channels: int | None = None,
        keyframe_index: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, num_frames, keyframe_index, feature_size, init_cfg
        )
        width, height = feature_size
        self.position_embedding = nn.Parameter(torch.zeros(num_frames, embed_dims, height, width))
        trunc_normal_(self.position_embedding, std=0.02)
        self._register_load_state_dict_pre_hook(self._fit_checkpoint)

    def checkpoint_frames(self, state_dict: Mapping[str, Tensor], prefix: str) -> int | None:
        """T of the position embedding in a checkpoint; see :class:`ClipNeck`."""
        embedding = state_dict.get(f'{prefix}position_embedding')
        return None if embedding is None else len(embedding)

    def inflate(self, state_dict: dict, prefix: str) -> None:
        """Turn the weights of a single-frame neck into weights for T frames, in place.

        Here: every frame gets its position embedding.
        """
        key = f'{prefix}position_embedding'
        state_dict[key] = state_dict[key].expand(self.num_frames, -1, -1, -1).clone()

    def _fit_checkpoint(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Fit a checkpoint of another input size, or of one frame, to this neck, in place."""
        key = prefix + 'position_embedding'
        if key not in state_dict:
            return
        own = self.position_embedding
        if state_dict[key].shape[0] == 1 < self.num_frames:
            self.inflate(state_dict, prefix)
            print_log(
                f'{prefix[:-1] or "neck"}: inflated from one frame to {self.num_frames}, the '
                f'keyframe at place {self.keyframe_index}',
                logger='current',
            )
        loaded = state_dict[key]
        if loaded.shape[0] != own.shape[0]:
            raise ValueError(
                f'The checkpoint has {loaded.shape[0]} frames in {key}, the config has '
                f'num_frames={own.shape[0]}: use the frame_offsets it was trained with'
            )
        if loaded.shape[2:] == own.shape[2:]:
            return
        state_dict[key] = resize_position_embedding(loaded, (own.shape[2], own.shape[3]))
        print_log(
            f'{key}: resized from {tuple(loaded.shape[2:])} to {tuple(own.shape[2:])} (H, W)',
            logger='current',
        )


def resize_position_embedding(embedding: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a (T, D, H, W) position embedding to ``size`` = (H', W'), bicubic, per frame."""
    resized = F.interpolate(embedding.float(), size=size, mode='bicubic', align_corners=False)
    return resized.to(embedding.dtype)
