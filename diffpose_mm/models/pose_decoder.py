"""Pose decoder f(x_t, 𝔽, t) with Lookup-based MultiScale Feature Interaction (section 3.2).

One call is one denoising step. What depends on 𝔽 alone is computed by
:meth:`PoseDecoder.prepare` once for a sample and shared by all steps and hypotheses: the three
deconvolved features 𝔽ʲ and the 𝔽ʲ half of the first linear map over concat(𝔽̄ʲ, 𝔽ʲ).
"""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import normal_init
from mmpose.registry import MODELS
from torch import Tensor, nn

from .conditional_decoder import ConditionalDecoder
from .transformer import TransformerLayer

STRIDES = (16, 8, 4)


class PreparedScale(NamedTuple):
    """What one scale j needs of 𝔽, computed once for a sample.

    Attributes:
        feature (Tensor): 𝔽ʲ, (N, C_j, H_j, W_j).
        projected (Tensor): The 𝔽ʲ half of the map over concat(., 𝔽ʲ), of the same size.
    """

    feature: Tensor
    projected: Tensor


class TimeEmbedding(BaseModule):
    """Sinusoids of the step t, then an MLP: (B,) -> (B, dims).

    Args:
        dims (int): Width of the embedding, even.
    """

    frequencies: Tensor

    def __init__(self, dims: int) -> None:
        super().__init__()
        half = dims // 2
        frequencies = torch.exp(-math.log(10000.0) * torch.arange(half) / half)
        self.register_buffer('frequencies', frequencies, persistent=False)
        self.mlp = nn.Sequential(nn.Linear(2 * half, dims), nn.SiLU(), nn.Linear(dims, dims))

    def forward(self, t: Tensor) -> Tensor:
        """Embed steps t, (B,) integers."""
        angles = t.to(self.frequencies)[:, None] * self.frequencies
        angles = torch.cat((angles.sin(), angles.cos()), dim=1)
        return self.mlp(angles.to(next(self.mlp.parameters()).dtype))


class TimeRescale(BaseModule):
    """Rescale the noisy heatmaps by the step: x_t, t -> x̄, K -> c channels at stride 4.

    Args:
        in_channels (int): K.
        out_channels (int): c.
        time_dims (int): Width of the time embedding.
    """

    def __init__(self, in_channels: int, out_channels: int, time_dims: int) -> None:
        super().__init__()
        self.time = TimeEmbedding(time_dims)
        self.scale_shift = nn.Linear(time_dims, 2 * out_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Rescale: (B, K, 4H, 4W), (B,) -> (B, c, 4H, 4W)."""
        scale, shift = self.scale_shift(F.silu(self.time(t)))[..., None, None].chunk(2, dim=1)
        return F.silu(self.conv(x_t) * (1 + scale) + shift)


class TokenEncoder(BaseModule):
    """A Transformer encoder over the H*W tokens of a map, (B, D, H, W) -> (B, D, H, W).

    Position is given by a depth-wise 3x3 convolution on the map (conditional position
    encoding), which fits any input size, so that nothing here has to be resized.
    """

    def __init__(self, dims: int, num_layers: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.position = nn.Conv2d(dims, dims, 3, padding=1, groups=dims)
        self.layers = nn.ModuleList(
            [TransformerLayer(dims, num_heads, mlp_ratio) for _ in range(num_layers)]
        )
        self.norm = nn.LayerNorm(dims)

    def forward(self, x: Tensor) -> Tensor:
        """Encode: (B, D, H, W) -> (B, D, H, W)."""
        height, width = x.shape[2:]
        tokens = (x + self.position(x)).flatten(2).transpose(1, 2)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens).transpose(1, 2).unflatten(2, (height, width))


def conv_block(channels: int, num_groups: int) -> nn.Sequential:
    """Norm, activation and a 3x3 convolution; GroupNorm, so no sample sees its batch."""
    return nn.Sequential(
        nn.GroupNorm(num_groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)
    )


class LookupInteraction(BaseModule):
    """One scale j of LMSFI: look up 𝔽ʲ with the noisy heatmaps' mask and refine (eq. 6-9).

    x̿ʲ = SeRef(x̄ʲ) at stride 16 or Conv(x̄ʲ) at strides 8 and 4; Aʲ = sigmoid(max_c x̿ʲ), one
    channel; 𝔽̄ʲ = Aʲ ⊙ 𝔽ʲ; 𝓕ʲ = Up(Transformer or Conv(concat(𝔽̄ʲ, 𝔽ʲ))).

    The map over the concatenation is linear up to its first norm, so it is kept as two maps, of
    which the one over 𝔽ʲ is computed once.

    Args:
        channels (int): C_j, channels of 𝔽ʲ, x̄ʲ and everything between.
        out_channels (int): Channels of 𝓕ʲ.
        attention (bool): SeRef and Transformer (stride 16) instead of convolutions.
        interaction (str): 'lookup', or 'concat' for the ablation that joins x̿ʲ and 𝔽ʲ directly.
        num_layers (int): Layers of either Transformer. Only with ``attention``.
        num_heads (int): Heads of either Transformer. Only with ``attention``.
        mlp_ratio (float): FFN width. Only with ``attention``.
        num_groups (int): Groups of GroupNorm. Only without ``attention``.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        attention: bool,
        interaction: str = 'lookup',
        num_layers: int = 1,
        num_heads: int = 4,
        mlp_ratio: float = 2.0,
        num_groups: int = 8,
    ) -> None:
        super().__init__()
        self.interaction = interaction
        size = 1 if attention else 3
        self.embed_noisy = nn.Conv2d(channels, channels, size, padding=size // 2)
        self.map_looked_up = nn.Conv2d(channels, channels, size, padding=size // 2, bias=False)
        self.map_feature = nn.Conv2d(channels, channels, size, padding=size // 2)
        self.refine_noisy: nn.Module
        self.refine: nn.Module
        if attention:
            self.refine_noisy = TokenEncoder(channels, num_layers, num_heads, mlp_ratio)
            self.refine = TokenEncoder(channels, num_layers, num_heads, mlp_ratio)
        else:
            self.refine_noisy = conv_block(channels, num_groups)
            self.refine = conv_block(channels, num_groups)
        self.project = nn.Conv2d(channels, out_channels, 1)

    def prepare(self, feature: Tensor) -> PreparedScale:
        """Compute what depends on 𝔽ʲ alone, (N, C_j, H_j, W_j)."""
        return PreparedScale(feature, self.map_feature(feature))

    def mask(self, noisy: Tensor) -> Tensor:
        """Lookup mask Aʲ = sigmoid(max_c x̿ʲ): (B, C_j, H_j, W_j) -> (B, 1, H_j, W_j)."""
        return self.refine_noisy(self.embed_noisy(noisy)).amax(dim=1, keepdim=True).sigmoid()

    def forward(self, noisy: Tensor, prepared: PreparedScale) -> Tensor:
        """Interact.

        Args:
            noisy (Tensor): x̄ʲ, (N*R, C_j, H_j, W_j), the R maps of a sample side by side.
            prepared (PreparedScale): Of N samples.

        Returns:
            Tensor: 𝓕ʲ before Up, (N*R, out_channels, H_j, W_j).
        """
        batch = prepared.feature.shape[0]
        if self.interaction == 'lookup':
            mask = self.mask(noisy).unflatten(0, (batch, -1))
            joined = (mask * prepared.feature[:, None]).flatten(0, 1)
        else:
            joined = self.refine_noisy(self.embed_noisy(noisy))
        joined = self.map_looked_up(joined).unflatten(0, (batch, -1))
        joined = (joined + prepared.projected[:, None]).flatten(0, 1)
        return self.project(self.refine(joined))


@MODELS.register_module()
class PoseDecoder(ConditionalDecoder):
    """The pose decoder: noisy heatmaps, spatiotemporal feature and step -> heatmaps (section 3.2).

    Heatmaps are four times as large as 𝔽.

    Args:
        in_channels (int): Channels C of 𝔽.
        num_keypoints (int): K.
        channels (Sequence[int]): Channels of the scales at strides 16, 8 and 4.
            Defaults to (256, 128, 64).
        out_channels (int): Channels of 𝓕, the sum before the last convolution. Defaults to 64.
        interaction (str): 'lookup' (the paper) or 'concat' (its ablation).
        time_dims (int): Width of the time embedding. Defaults to 128.
        num_layers (int): Transformer layers in SeRef and after it, each. Defaults to 1.
        num_heads (int): Their heads. Defaults to 4.
        mlp_ratio (float): Their FFN width. Defaults to 2.
        num_groups (int): Groups of every GroupNorm. Defaults to 8.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ValueError: ``interaction`` is unknown, or ``channels`` has not three numbers.
    """

    def __init__(
        self,
        in_channels: int,
        num_keypoints: int,
        channels: Sequence[int] = (256, 128, 64),
        out_channels: int = 64,
        interaction: str = 'lookup',
        time_dims: int = 128,
        num_layers: int = 1,
        num_heads: int = 4,
        mlp_ratio: float = 2.0,
        num_groups: int = 8,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(in_channels, num_keypoints, init_cfg)
        if interaction not in ('lookup', 'concat'):
            raise ValueError(
                f"PoseDecoder: interaction={interaction!r} is unknown; use 'lookup' or 'concat'"
            )
        if len(channels) != len(STRIDES):
            raise ValueError(
                f'PoseDecoder: channels={tuple(channels)} must give one number for each of the '
                f'strides {STRIDES}'
            )
        low, mid, high = channels

        self.time_rescale = TimeRescale(num_keypoints, high, time_dims)
        self.down_mid = nn.Sequential(nn.Conv2d(high, mid, 3, stride=2, padding=1), nn.SiLU())
        self.down_low = nn.Sequential(nn.Conv2d(mid, low, 3, stride=2, padding=1), nn.SiLU())

        def deconv(in_width: int, width: int) -> nn.Sequential:
            return nn.Sequential(
                nn.ConvTranspose2d(in_width, width, 4, stride=2, padding=1, bias=False),
                nn.GroupNorm(num_groups, width),
                nn.SiLU(),
            )

        self.lift_low = nn.Sequential(
            nn.Conv2d(in_channels, low, 1, bias=False), nn.GroupNorm(num_groups, low), nn.SiLU()
        )
        self.lift_mid = deconv(low, mid)
        self.lift_high = deconv(mid, high)

        interact = partial(
            LookupInteraction,
            out_channels=out_channels,
            interaction=interaction,
            num_layers=num_layers,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            num_groups=num_groups,
        )
        self.interactions = nn.ModuleList(
            [
                interact(low, attention=True),
                interact(mid, attention=False),
                interact(high, attention=False),
            ]
        )
        self.final_layer = nn.Conv2d(out_channels, num_keypoints, 3, padding=1)

    def init_weights(self) -> None:
        """Start from small outputs: most of a heatmap is zero."""
        super().init_weights()
        normal_init(self.final_layer, std=0.001)

    def check_size(self, feature_size: tuple[int, int], heatmap_size: tuple[int, int]) -> None:
        """Raise unless the heatmap (w, h) is four times as large as the feature (W, H)."""
        width, height = feature_size
        if tuple(heatmap_size) != (4 * width, 4 * height):
            raise ValueError(
                f'PoseDecoder: the heatmap {tuple(heatmap_size)} (w, h) is not four times as large '
                f"as the neck's feature {tuple(feature_size)}: set the codec's heatmap_size="
                f'{(4 * width, 4 * height)}, or correct feature_size of the neck to the input size '
                'over the stride of the backbone'
            )

    def prepare(self, feature: Tensor) -> list[PreparedScale]:
        """Compute once what every step and hypothesis needs of 𝔽.

        Args:
            feature (Tensor): 𝔽, (N, C, H, W).

        Returns:
            list[PreparedScale]: At strides 16, 8 and 4: (H, W), (2H, 2W), (4H, 4W).
        """
        low = self.lift_low(feature)
        mid = self.lift_mid(low)
        high = self.lift_high(mid)
        interactions = cast(Iterable[LookupInteraction], self.interactions)
        return [
            interaction.prepare(level) for interaction, level in zip(interactions, (low, mid, high))
        ]

    def denoise(self, x_t: Tensor, t: Tensor, prepared: list[PreparedScale]) -> Tensor:
        """One decoder call.

        Args:
            x_t (Tensor): Noisy signals, (N*R, K, 4H, 4W), the R of a sample side by side.
            t (Tensor): Steps, (N*R,) integers.
            prepared (list[PreparedScale]): From :meth:`prepare`, for N samples.

        Returns:
            Tensor: x̂0 as heatmaps, (N*R, K, 4H, 4W).
        """
        samples = prepared[0].feature.shape[0]
        size = tuple(prepared[-1].feature.shape[2:])
        height, width = prepared[0].feature.shape[2:]
        self.check_size((width, height), (x_t.shape[3], x_t.shape[2]))
        if x_t.shape[1] != self.num_keypoints or x_t.shape[0] % samples:
            raise ValueError(
                f'PoseDecoder expects x_t of shape (N*R, K, 4H, 4W) with N={samples} and '
                f'K={self.num_keypoints}, got {tuple(x_t.shape)}'
            )
        high = self.time_rescale(x_t, t)
        mid = self.down_mid(high)
        low = self.down_low(mid)
        low, mid, high = (
            interaction(noisy, scale)
            for interaction, noisy, scale in zip(self.interactions, (low, mid, high), prepared)
        )
        # Up is linear, so stride 16 goes up the second half of its way together with stride 8.
        mid = mid + F.interpolate(low, size=mid.shape[2:], mode='bilinear', align_corners=False)
        high = high + F.interpolate(mid, size=size, mode='bilinear', align_corners=False)
        return self.final_layer(high)
