"""Noise of training and of sampling, drawn so that nothing depends on processes and batches."""

import torch
from mmengine.dist import get_dist_info
from torch import Tensor

from diffpose_mm_runtime.noise import noise_seeds


def draw_steps_and_noise(x0: Tensor, num_steps: int, draws: int) -> tuple[Tensor, Tensor]:
    """Steps and noise of a training batch: this process's part of those of the global batch.

    mmengine seeds the processes of a launcher alike. Each draws steps and seeds for the global
    batch from torch's CPU generator and takes those at rank, rank + world_size, ... So no two
    processes share noise, and together they use the same *set* of steps and noises as one process
    with the global batch. With mmengine's ``DefaultSampler``, which deals samples in that way, each
    sample also meets the same noise; with ``ClipBlockSampler``, which gives every process a
    contiguous shard, it meets that of another sample.

    Args:
        x0 (Tensor): Signals (B * draws, ...), the draws of a sample next to each other.
        num_steps (int): Steps of the schedule.
        draws (int): Draws for a sample.

    Returns:
        tuple[Tensor, Tensor]: Steps (B * draws, ), and noise of the shape and device of ``x0``.
    """
    rank, world_size = get_dist_info()
    shape = (len(x0) // draws * world_size, draws)
    t = torch.randint(num_steps, shape)[rank::world_size].flatten()
    seeds = torch.randint(2**62, shape)[rank::world_size].flatten()
    generator = torch.Generator(x0.device)
    noise = torch.empty_like(x0)
    for sample, seed in zip(noise, seeds.tolist()):
        sample.normal_(generator=generator.manual_seed(seed))
    return t.to(x0.device), noise


def noise_generators(metainfo: dict, seed: int, count: int) -> list[torch.Generator]:
    """Generators of a sample's hypotheses, the same in any batch, order and process.

    Args:
        metainfo (dict): Of the sample. ``img_id`` (else ``img_path``) and ``id`` identify it;
            without ``id``, the place of the crop does.
        seed (int): ``test_cfg.seed``.
        count (int): Number of hypotheses.

    Returns:
        list[torch.Generator]: ``count`` CPU generators. Number n does not depend on ``count``.
    """
    return [torch.Generator().manual_seed(n) for n in noise_seeds(metainfo, seed, count)]
