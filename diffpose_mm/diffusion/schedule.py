"""The forward process q(x_t | x0): DiffPose section 3, equation 4 of DDPM (arXiv 2006.11239)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ['NoiseSchedule']


def _linear_betas(num_steps: int) -> Tensor:
    """Betas from 1e-4 to 0.02, DDPM (arXiv 2006.11239) section 4; (num_steps,) float64."""
    return torch.linspace(1e-4, 0.02, num_steps, dtype=torch.float64)


def _cosine_betas(num_steps: int) -> Tensor:
    """Betas of a squared-cosine alphas_cumprod, equation 17 of arXiv 2102.09672; float64."""
    u = torch.linspace(0, 1, num_steps + 1, dtype=torch.float64)
    alphas_cumprod = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - alphas_cumprod[1:] / alphas_cumprod[:-1]).clamp(max=0.999)


_BETAS = {'cosine': _cosine_betas, 'linear': _linear_betas}


class NoiseSchedule(nn.Module):
    """How much noise a sample carries at each of ``num_steps`` diffusion steps.

    ``x_t = sqrt(alphas_cumprod[t]) * x0 + sqrt(1 - alphas_cumprod[t]) * noise``, t from 0 (nearly
    clean) to ``num_steps - 1`` (nearly pure noise). Both tables are non-persistent buffers, so
    they follow the model to its device and never enter a checkpoint. They stay float64 whatever
    the model is cast to: ``alphas_cumprod`` of the cosine schedule ends near 2e-9, and
    ``1 - alphas_cumprod`` begins near 4e-5, which a half precision number cannot hold.

    Args:
        num_steps: Length T of the diffusion. The linear betas are DDPM's, made for T = 1000; with
            a much shorter linear schedule the last step is not noise yet.
        kind: ``'cosine'`` (arXiv 2102.09672, equation 17, betas at most 0.999) or ``'linear'``
            (arXiv 2006.11239, betas from 1e-4 to 0.02).

    Attributes:
        betas: (num_steps,) float64.
        alphas_cumprod: (num_steps,) float64, the product of ``1 - betas`` up to each step.

    Raises:
        ValueError: ``num_steps`` is not a positive integer, or ``kind`` is unknown.
    """

    betas: Tensor
    alphas_cumprod: Tensor

    def __init__(self, num_steps: int = 1000, kind: str = 'cosine') -> None:
        super().__init__()
        if isinstance(num_steps, bool) or not isinstance(num_steps, int) or num_steps < 1:
            raise ValueError(
                f'NoiseSchedule: num_steps={num_steps!r} must be an integer of at least 1 '
                '(the usual length is 1000)'
            )
        if kind not in _BETAS:
            raise ValueError(
                f'NoiseSchedule: kind={kind!r} is unknown, choose one of {sorted(_BETAS)}'
            )
        self.num_steps = num_steps
        self.kind = kind
        betas = _BETAS[kind](num_steps)
        self.register_buffer('betas', betas, persistent=False)
        self.register_buffer('alphas_cumprod', (1 - betas).cumprod(0), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'NoiseSchedule':
        # .half() and .to(dtype) reach every buffer; these two are put back at full precision.
        betas, alphas_cumprod = self.betas, self.alphas_cumprod
        super()._apply(fn, recurse)
        if self.betas.dtype != betas.dtype:
            self.betas = betas.to(self.betas.device)
            self.alphas_cumprod = alphas_cumprod.to(self.alphas_cumprod.device)
        return self

    def extra_repr(self) -> str:
        """Show length and kind when a model is printed."""
        return f'num_steps={self.num_steps}, kind={self.kind!r}'

    def truncated(self, num_steps: int) -> 'NoiseSchedule':
        """The schedule of the first ``num_steps`` steps alone, with the same noise at each.

        Raises:
            ValueError: ``num_steps`` is not an integer from 1 to this schedule's.
        """
        if not 1 <= num_steps <= self.num_steps:
            raise ValueError(
                f'truncated: num_steps={num_steps} must lie in 1 to {self.num_steps}, the length '
                'of the schedule'
            )
        if num_steps == self.num_steps:
            return self
        short = NoiseSchedule(num_steps, self.kind)
        short.betas = self.betas[:num_steps]
        short.alphas_cumprod = self.alphas_cumprod[:num_steps]
        return short

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Draw x_t from q(x_t | x0) for given noise, DDPM (arXiv 2006.11239) equation 4.

        Args:
            x0: (B, ...) clean samples, floating point.
            noise: Standard normal noise of the shape of ``x0``.
            t: (B,) integer steps, each in [0, num_steps - 1].

        Returns:
            (B, ...) noisy samples, of the dtype and on the device of ``x0``.

        Raises:
            ValueError: ``noise`` has not the shape of ``x0``, ``t`` is not B integers, or a step
                lies outside the schedule.
        """
        if noise.shape != x0.shape:
            raise ValueError(
                f'add_noise: noise has shape {tuple(noise.shape)} but x0 {tuple(x0.shape)}; '
                'draw it with torch.randn_like(x0)'
            )
        if t.shape != x0.shape[:1] or t.is_floating_point() or t.dtype == torch.bool:
            raise ValueError(
                f'add_noise: t is {t.dtype} of shape {tuple(t.shape)}; give one integer step a '
                f'sample, shape {tuple(x0.shape[:1])}'
            )
        if t.numel() and not 0 <= t.min() <= t.max() < self.num_steps:
            raise ValueError(
                f'add_noise: t runs from {t.min().item()} to {t.max().item()} but this schedule '
                f'has the steps 0 to {self.num_steps - 1}; draw t with '
                'torch.randint(schedule.num_steps, ...)'
            )
        a = self.alphas_cumprod[t.to(self.alphas_cumprod.device)]
        a = a.view(-1, *(1,) * (x0.ndim - 1)).to(x0.device)
        return a.sqrt().to(x0.dtype) * x0 + (1 - a).sqrt().to(x0.dtype) * noise.to(x0)
