"""The three parts of a diffusion model that streaming needs, as modules of plain tensors."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..models.clip_neck import ClipNeck


class Tokens(nn.Module):
    """Crops (B, 3, h, w), normalised, to the tokens (B, D, H, W) of single frames."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.neck = getattr(model, 'neck', None)

    def forward(self, crops: Tensor) -> Tensor:
        """See the class."""
        feature = self.backbone(crops)
        feature = feature[-1] if isinstance(feature, (tuple, list)) else feature
        return feature if self.neck is None else self.neck.embed(feature)


class Prepare(nn.Module):
    """Tokens of clips (N, T, D, H, W) to all that the decoder needs of them, tensors of N rows."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.neck = getattr(model, 'neck', None)
        self.decoder = model.head.pose_decoder

    def structure(self, tokens: Tensor) -> Any:
        """What the decoder prepares, as the decoder has it."""
        feature = tokens[:, 0] if self.neck is None else self.neck.fuse(tokens)
        return self.decoder.prepare(feature)

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        return tuple(pytree.tree_flatten(self.structure(tokens))[0])


class Denoise(nn.Module):
    """One denoising call: x_t (N, R, K, h, w), t (1,) and what was prepared, to x̂0 as heatmaps.

    Args:
        model: The estimator.
        spec: How the prepared tensors are put together.
    """

    def __init__(self, model: Any, spec: Any) -> None:
        super().__init__()
        self.decoder = model.head.pose_decoder
        self.spec = spec

    def forward(self, x_t: Tensor, t: Tensor, *prepared: Tensor) -> Tensor:
        """See the class."""
        samples, hypotheses = x_t.shape[:2]
        structure = pytree.tree_unflatten(list(prepared), self.spec)
        rows = samples * hypotheses
        heatmaps = self.decoder.denoise(x_t.flatten(0, 1), t.expand(rows), structure)
        return heatmaps.reshape(x_t.shape)


class Parts(NamedTuple):
    """The parts of a model, and tensors of the shapes that each is called with.

    Attributes:
        modules: By name, in order of their use: ``tokens``, ``prepare``, ``denoise``.
        examples: By name, N = 2 samples and R = 3 hypotheses.
        prepared: Number of tensors that ``prepare`` gives.
    """

    modules: dict[str, nn.Module]
    examples: dict[str, tuple[Tensor, ...]]
    prepared: int


@torch.no_grad()
def split(model: Any) -> Parts:
    """The parts of an estimator of this package.

    Args:
        model: A :class:`TopdownClipEstimator` in evaluation, with a :class:`DiffPoseHead`.

    Raises:
        ValueError: Its neck does not embed each frame alone.
    """
    neck = getattr(model, 'neck', None)
    if neck is not None and not isinstance(neck, ClipNeck):
        raise ValueError(
            f'export needs a neck that embeds each frame alone (a ClipNeck, as SpatioTemporalNeck '
            f'is), but the neck of this model is {type(neck).__name__}'
        )
    head = model.head
    frames = 1 if neck is None else neck.num_frames
    width, height = head.decoder.input_size
    generator = torch.Generator().manual_seed(0)
    crops = torch.randn(2 * frames, 3, height, width, generator=generator)
    tokens, prepare = Tokens(model).eval(), Prepare(model).eval()
    clips = tokens(crops).unflatten(0, (2, frames))
    leaves, spec = pytree.tree_flatten(prepare.structure(clips))
    columns, rows = head.heatmap_size
    x_t = torch.randn(2, 3, head.out_channels, rows, columns, generator=generator)
    t = torch.tensor([head.schedule.num_steps - 1])
    return Parts(
        dict(tokens=tokens, prepare=prepare, denoise=Denoise(model, spec).eval()),
        dict(tokens=(crops,), prepare=(clips,), denoise=(x_t, t, *leaves)),
        len(leaves),
    )
