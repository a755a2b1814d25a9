"""mmpretrain's Vision Transformer, whose weights load at inputs that are not square (ViTPose)."""

import math
from typing import Any

from mmpose.registry import MODELS
from mmpretrain.models import VisionTransformer
from mmpretrain.models.utils import resize_pos_embed


@MODELS.register_module()
class ClipVisionTransformer(VisionTransformer):
    """:class:`mmpretrain.VisionTransformer` that resizes the position embedding of any input.

    mmpretrain takes the position embedding of a checkpoint for a square, and so cannot load
    ViTPose's weights for 256x192 (16x12 patches) into a model for 384x288. Here the checkpoint's
    grid is taken to have the proportions of the model's own, or else to be square.

    An entry before the grid's is that of a class token, where there is one in the checkpoint, and
    is left out. ViTAE's ViTPose has such an entry and no token: it is added to every patch there
    (``x + pos_embed[:, 1:] + pos_embed[:, :1]``, vit.py of ViTAE-Transformer/ViTPose), and so it is
    here, where mmpretrain would drop it.

    Args and output are those of :class:`mmpretrain.VisionTransformer`.
    """

    def _prepare_pos_embed(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Resize ``pos_embed`` in a state dict that is being loaded.

        Raises:
            ValueError: The grid of the checkpoint's position embedding is ambiguous.
        """
        name = prefix + 'pos_embed'
        if name not in state_dict or self.pos_embed is None:
            return
        loaded = state_dict[name]
        own = tuple(self.patch_embed.init_out_size)
        extra = self.num_extra_tokens
        if not self.with_cls_token and _has_extra_entry(loaded.shape[1], own):
            first, loaded = loaded[:, :1], loaded[:, 1:]
            if f'{prefix}cls_token' not in state_dict:
                loaded = loaded + first
        if loaded.shape[2] == self.embed_dims and loaded.shape[1] != own[0] * own[1] + extra:
            grid = patch_grid(loaded.shape[1] - extra, own)
            loaded = resize_pos_embed(loaded, grid, own, self.interpolate_mode, extra)
        state_dict[name] = loaded


def _has_extra_entry(entries: int, own: tuple[int, int]) -> bool:
    """Whether the entries of a position embedding are a grid only without the first of them."""
    if entries == own[0] * own[1]:
        return False
    try:
        patch_grid(entries, own)
    except ValueError:
        try:
            patch_grid(entries - 1, own)
        except ValueError:
            return False
        return True
    return False


def patch_grid(patches: int, like: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a grid of patches, of which only the product is known.

    Args:
        patches: Number of patches.
        like: (rows, columns) of a grid that is likely to have the same proportions.

    Raises:
        ValueError: If no grid of these proportions, and no square, has so many patches.
    """
    for rows, columns in (like, (1, 1)):
        height = math.isqrt(max(patches * rows // columns, 0))
        if height and patches % height == 0 and height * columns == patches // height * rows:
            return height, patches // height
    raise ValueError(
        f'the position embedding of the checkpoint has {patches} patches, which is neither a grid '
        f"with the proportions of the model's {like[0]}x{like[1]} patches nor a square; use "
        'weights that were trained with these proportions of the input'
    )
