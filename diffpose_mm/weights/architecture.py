"""The architecture of weights, measured from them; the heads, which no weight tells, are asked."""

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

# Embedding dimensions -> (letter, layers, heads) of ViTPose (Xu et al., NeurIPS 2022, appendix, and
# its configs). deit-small is another net of 384 dimensions, with 6 heads.
VITPOSE_SIZES = {384: ('S', 12, 12), 768: ('B', 12, 12), 1024: ('L', 24, 16), 1280: ('H', 32, 16)}
# Heads of mmpretrain 1.2's named architectures of VisionTransformer.
MMPRETRAIN_HEADS = {
    **dict.fromkeys(('s', 'small'), 8),
    **dict.fromkeys(('b', 'base', 'deit-b', 'deit-base'), 12),
    **dict.fromkeys(('l', 'large', 'h', 'huge', 'eva-g', 'eva-giant'), 16),
    **dict.fromkeys(('deit-t', 'deit-tiny'), 3),
    **dict.fromkeys(('deit-s', 'deit-small'), 6),
}


@dataclass(frozen=True)
class Architecture:
    """A plain vision transformer with or without a head for heatmaps.

    Attributes:
        embed_dims: Channels of a token.
        depth: Layers.
        num_heads: Heads of attention; None if nothing says.
        heads_from: What says so: 'config.json', 'the config in the file', 'the known sizes', or ''.
        feedforward: Channels inside an MLP.
        patch_size: Pixels of a patch's side.
        grid: (rows, columns) of patches; None if the position embedding fits no proportions of 4:3,
            1:1 or 3:4.
        class_token: Whether a class token is among the tokens.
        head: 'classic' (two deconvolutions), 'simple' (one convolution of the enlarged features) or
            None (none, or another).
        keypoints: Channels of the head's heatmaps; None without such a head.
    """

    embed_dims: int
    depth: int
    num_heads: int | None
    heads_from: str
    feedforward: int
    patch_size: int
    grid: tuple[int, int] | None
    class_token: bool
    head: str | None
    keypoints: int | None

    @property
    def name(self) -> str:
        """As 'ViTPose-B', or its dimensions where no known size has them."""
        letter, depth, heads = VITPOSE_SIZES.get(self.embed_dims, ('', 0, 0))
        if self.depth == depth and self.num_heads in (None, heads) and not self.class_token:
            return f'ViTPose-{letter}'
        heads_text = self.num_heads or 'unknown'
        return f'ViT of {self.embed_dims} channels, {self.depth} layers, {heads_text} heads'

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(width, height) of the input in pixels."""
        if self.grid is None:
            return None
        return self.grid[1] * self.patch_size, self.grid[0] * self.patch_size


def grid_of(patches: int) -> tuple[int, int] | None:
    """(rows, columns) of a number of patches, of the proportions 4:3, 1:1 or 3:4.

    No number has two of them: 12 k^2 is no square, and 4:3 comes before 3:4.
    """
    for rows, columns in ((4, 3), (1, 1)):
        k = math.isqrt(max(patches, 0) // (rows * columns))
        if k and k * k * rows * columns == patches:
            return k * rows, k * columns
    return None


def measure(
    state: Mapping[str, torch.Tensor],
    prefix: str = 'backbone.',
    heads: int | None = None,
    heads_from: str = '',
    size: tuple[int, int] | None = None,
    known_sizes: bool = True,
) -> Architecture | None:
    """Measure weights of mmpose 1.x's naming.

    Args:
        state: Tensors by name.
        prefix: Of the backbone's names.
        heads: Heads of attention, where something says.
        heads_from: What says so.
        size: (height, width) of the input in pixels, where something says.
        known_sizes: Whether a transformer of ViTPose's dimensions may be taken for one.

    Returns:
        None if no vision transformer is among them.
    """
    projection = state.get(f'{prefix}patch_embed.projection.weight')
    first = state.get(f'{prefix}layers.0.ffn.layers.0.0.weight')
    position = state.get(f'{prefix}pos_embed')
    if projection is None or first is None or position is None or projection.dim() != 4:
        return None
    dims, patch = projection.shape[0], projection.shape[-1]
    pattern = re.compile(re.escape(prefix) + r'layers\.(\d+)\.ln1\.weight')
    depth = len({found[1] for found in map(pattern.fullmatch, state) if found})
    class_token = f'{prefix}cls_token' in state
    if not heads and known_sizes and not class_token:
        _, known_depth, known_heads = VITPOSE_SIZES.get(dims, ('', 0, 0))
        if depth == known_depth:
            heads, heads_from = known_heads, 'the known sizes'
    patches = position.shape[1] - class_token
    grid = (size[0] // patch, size[1] // patch) if size else grid_of(patches)
    if grid is not None and grid[0] * grid[1] != patches:
        grid = grid_of(patches)
    head, keypoints = _head(state, dims)
    return Architecture(
        embed_dims=dims,
        depth=depth,
        num_heads=heads or None,
        heads_from=heads_from if heads else '',
        feedforward=first.shape[0],
        patch_size=patch,
        grid=grid,
        class_token=class_token,
        head=head,
        keypoints=keypoints,
    )


def _head(state: Mapping[str, torch.Tensor], dims: int) -> tuple[str | None, int | None]:
    final, deconv = state.get('head.final_layer.weight'), state.get('head.deconv_layers.0.weight')
    if final is None or final.dim() != 4:
        return None, None
    if deconv is not None:
        return ('classic', final.shape[0]) if deconv.shape[0] == dims else (None, None)
    return ('simple', final.shape[0]) if final.shape[1] == dims else (None, None)


def heads_in_config_text(text: Any) -> int | None:
    """Heads of the backbone in the text of a config, which mmengine keeps in a checkpoint's meta.

    The text is parsed and not run.

    Returns:
        None if it does not say, or is no config.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'model':
            backbone = _field(node.value, 'backbone')
            arch = _field(backbone, 'arch')
            if isinstance(arch, ast.Constant):
                return MMPRETRAIN_HEADS.get(str(arch.value).lower())
            heads = _field(arch, 'num_heads')
            if isinstance(heads, ast.Constant) and isinstance(heads.value, int):
                return heads.value
    return None


def _field(node: Any, name: str) -> Any:
    """The value of a field in ``dict(name=...)`` or ``{'name': ...}``."""
    if isinstance(node, ast.Call):
        return next((word.value for word in node.keywords if word.arg == name), None)
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values):
            if isinstance(key, ast.Constant) and key.value == name:
                return value
    return None
