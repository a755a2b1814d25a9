"""What running needs beside mmengine: checkpoints that load, hooks, optimiser wrappers."""

from .best_metric import MetricError
from .checkpoint import (
    CheckpointError,
    check_checkpoint,
    read_checkpoint,
)
from .checkpoint_hook import AtomicCheckpointHook, newest_checkpoint
from .clip_stats_hook import ClipStatsHook
from .finite_loss_hook import FiniteLossHook, NonFiniteError
from .keypoint_init import PretrainedKeypoints
from .loops import ClipTestLoop, ClipValLoop
from .optim_wrapper import (
    BFloat16OptimWrapper,
    ClipLayerDecayOptimWrapperConstructor,
    TrainableOptimWrapperConstructor,
)
from .train_loop import ResumableTrainLoop
from .visualization_hook import ClipVisualizationHook

__all__ = [
    'AtomicCheckpointHook',
    'BFloat16OptimWrapper',
    'CheckpointError',
    'ClipLayerDecayOptimWrapperConstructor',
    'ClipStatsHook',
    'ClipTestLoop',
    'ClipValLoop',
    'ClipVisualizationHook',
    'FiniteLossHook',
    'MetricError',
    'NonFiniteError',
    'PretrainedKeypoints',
    'ResumableTrainLoop',
    'TrainableOptimWrapperConstructor',
    'check_checkpoint',
    'newest_checkpoint',
    'read_checkpoint',
]
