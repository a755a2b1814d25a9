"""Checkpoints: what the tools and hooks need of :mod:`diffpose_mm.loading`."""

from ..loading import (
    CheckpointError,
    check_checkpoint,
    check_pretrained,
    compare,
    prepare,
    prepare_pretrained,
    prepare_start,
    read_checkpoint,
)

__all__ = [
    'CheckpointError',
    'check_checkpoint',
    'check_pretrained',
    'compare',
    'prepare',
    'prepare_pretrained',
    'prepare_start',
    'read_checkpoint',
]
