"""What running needs beside mmengine: checkpoints that load, hooks, optimiser wrappers."""

from mmpose.engine.optim_wrappers import LayerDecayOptimWrapperConstructor

from .checkpoint import CheckpointError, check_checkpoint, read_checkpoint, register_safe_globals
from .clip_stats_hook import ClipStatsHook
from .optim_wrapper import BFloat16OptimWrapper
from .visualization_hook import ClipVisualizationHook

__all__ = [
    'BFloat16OptimWrapper',
    'CheckpointError',
    'ClipStatsHook',
    'ClipVisualizationHook',
    'LayerDecayOptimWrapperConstructor',
    'check_checkpoint',
    'read_checkpoint',
    'register_safe_globals',
]
