"""Training on own predictions: x_t drawn from the model's own x̂0 (self-aligned denoising)."""

from typing import Any

import torch
from torch import Tensor


class SelfAlignment:
    """Draw x_t of a part of the training samples from the model's own answer at pure noise.

    In training the network sees noise on true heatmaps, in sampling noise on its own guesses.
    Self-aligned denoising (DDP, arXiv 2303.17559, section 3.4) shows it the latter: x̂0 of the first
    step, without gradient, is noised to a step t, and the truth stays the target.

    Args:
        share (float): Of the samples that are drawn so, in (0, 1]. They are the first ones of the
            batch.
        steps (tuple[int, int]): Their t lie in this range, lowest and highest. Defaults to None:
            all steps.

    Raises:
        ValueError: ``share`` is out of range, or ``steps`` are not two steps in ascending order.
    """

    def __init__(self, share: float, steps: tuple[int, int] | None = None) -> None:
        if not 0 < share <= 1:
            raise ValueError(f'self_aligned.share={share} must lie in (0, 1]')
        if steps is not None and (len(steps) != 2 or not 0 <= steps[0] <= steps[1]):
            raise ValueError(
                f'self_aligned.steps={steps} must be the lowest and the highest step, ascending'
            )
        self.share = share
        self.steps = steps

    def __call__(
        self, head: Any, x0: Tensor, t: Tensor, noise: Tensor, feature: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What is noised in place of the true signals, and to which steps.

        Args:
            head: The :class:`DiffPoseHead` that is trained.
            x0: True signals (N*R, K, h, w), the R draws of a sample next to each other.
            t: Steps (N*R,), drawn from all of the schedule.
            noise: Of the shape of ``x0``.
            feature: 𝔽, (N, C, H, W).

        Returns:
            tuple[Tensor, Tensor]: Signals and steps of the same shapes.

        Raises:
            ValueError: ``steps`` reach beyond the schedule.
        """
        total = head.schedule.num_steps
        lowest, highest = self.steps or (0, total - 1)
        if highest >= total:
            raise ValueError(
                f'self_aligned.steps={self.steps} must lie within the schedule, 0 to {total - 1}'
            )
        draws = len(x0) // len(feature)
        count = max(round(self.share * len(feature)), 1)
        part = slice(0, count * draws)
        with torch.no_grad():
            # Other noise than is added later: sampling starts from a noise of its own, too.
            start = noise[part].flip(0)
            last = torch.full_like(t[part], total - 1)
            own = head.pose_decoder(start, feature[:count], last)
        limit = head.decoder.signal_scale
        own = head.decoder.to_signal(own.detach()).clamp(-limit, limit).to(x0.dtype)
        # A uniform step of the schedule is made a uniform step of the range.
        scaled = lowest + t[part] * (highest - lowest + 1) // total
        return torch.cat((own, x0[part.stop :])), torch.cat((scaled, t[part.stop :]))
