"""What a temporal neck is: the features of a clip's T frames become one, that of the keyframe."""

from collections.abc import Mapping

from mmengine.model import BaseModule
from torch import Tensor


class ClipNeck(BaseModule):
    """Base class of temporal necks, and their contract.

    A neck works in two steps. :meth:`embed` sees one frame at a time and turns the backbone's
    feature into a map of tokens of the same height and width; :meth:`fuse` merges the T maps of a
    clip. Keyframes that follow each other share frames, so a stream computes the maps of a frame
    once and keeps them: any neck of this class can be streamed. For that, a location of the tokens
    has to mean the same location of the feature, as it does for every convolution of stride 1.

    A subclass implements :meth:`fuse`, and :meth:`embed` if there is work that needs one frame
    alone::

        @MODELS.register_module()
        class MeanNeck(ClipNeck):
            def fuse(self, tokens):
                return tokens.mean(dim=1)

    Shapes: N clips, T frames from the oldest to the newest, C channels of the backbone's feature, D
    of the tokens (C unless :meth:`embed` changes it), H rows and W columns of either.

    Args:
        in_channels (int): C.
        out_channels (int, optional): Channels of the merged feature, which the head reads.
            Defaults to ``in_channels``.
        num_frames (int): T, the number of the data set's ``frame_offsets``. Defaults to 5.
        keyframe_index (int, optional): Place of the keyframe among the T frames, from 0: that of 0
            among the ``frame_offsets`` in order of time. Defaults to the middle,
            ``num_frames // 2``. Our tools compare both numbers with the data set's.
        feature_size (tuple[int, int], optional): (W, H). Where given, features of another size are
            an error. Defaults to None.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        num_frames: int = 5,
        keyframe_index: int | None = None,
        feature_size: tuple[int, int] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        name = type(self).__name__
        if feature_size is not None and len(feature_size) != 2:
            raise ValueError(f'{name}: feature_size={feature_size} must be (width, height)')
        for field, value in (
            ('in_channels', in_channels),
            ('num_frames', num_frames),
            ('feature_size', min(feature_size or (1,))),
        ):
            if value < 1:
                raise ValueError(f'{name}: {field} must be at least 1, got {value}')
        if keyframe_index is None:
            keyframe_index = num_frames // 2
        if not 0 <= keyframe_index < num_frames:
            raise ValueError(
                f'{name}: keyframe_index={keyframe_index} is none of the {num_frames} frames '
                f'(num_frames): give the place of 0 among the frame_offsets, 0 to {num_frames - 1}'
            )
        self.in_channels = in_channels
        self.out_channels = out_channels or in_channels
        self.num_frames = num_frames
        self.keyframe_index = keyframe_index
        self.feature_size = None if feature_size is None else (feature_size[0], feature_size[1])

    def embed(self, feats: Tensor) -> Tensor:
        """Features of single frames to tokens: (B, C, H, W) -> (B, D, H, W). Here: as they are."""
        return feats

    def fuse(self, tokens: Tensor) -> Tensor:
        """Merge the tokens of clips: (N, T, D, H, W) -> (N, out_channels, H, W)."""
        raise NotImplementedError(f'{type(self).__name__} has to implement fuse(tokens)')

    def forward(self, feats: Tensor) -> Tensor:
        """Merge the features of clips.

        Args:
            feats (Tensor): (N, T, C, H, W), frames from the oldest to the newest.

        Returns:
            Tensor: (N, out_channels, H, W).

        Raises:
            ValueError: ``feats`` has not the T, C or (W, H) of the config.
        """
        size = tuple(feats.shape[3:]) if self.feature_size is None else self.feature_size[::-1]
        expected = (self.num_frames, self.in_channels, *size)
        if feats.dim() != 5 or tuple(feats.shape[1:]) != expected:
            raise ValueError(
                f'{type(self).__name__} expects (N, T, C, H, W) features with (T, C, H, W) = '
                f'{expected}, got {tuple(feats.shape)}: num_frames must be the number of '
                'frame_offsets, in_channels the width of the backbone and feature_size=(W, H), '
                'where the neck has one, the input size over the stride of the backbone'
            )
        batch, frames = feats.shape[:2]
        return self.fuse(self.embed(feats.flatten(0, 1)).unflatten(0, (batch, frames)))

    def checkpoint_frames(self, state_dict: Mapping[str, Tensor], prefix: str) -> int | None:
        """Length of the clips that the neck in a checkpoint was trained with.

        Args:
            state_dict: Weights of a whole model.
            prefix: What the keys of this neck begin with, for example ``'neck.'``.

        Returns:
            int | None: None where the weights do not tell, as here.
        """
        return None
