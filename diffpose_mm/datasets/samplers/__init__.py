"""Orders in which samples are visited."""

from .clip_block_sampler import ClipBlockSampler

__all__ = ['ClipBlockSampler']
