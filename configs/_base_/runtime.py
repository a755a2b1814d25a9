"""What every experiment shares: logging, checkpoints, averaged weights, drawing."""

_base_ = ['mmpose::_base_/default_runtime.py']

import diffpose_mm  # noqa: E402, F401 - also where a config on top has custom_imports of its own

custom_imports = dict(imports=['diffpose_mm'], allow_failed_imports=False)

# Resumes bit-identically after a kill.
train_cfg = dict(_delete_=True, type='ResumableTrainLoop')
# Neither gives a number where a keyframe cannot be read.
val_cfg = dict(type='ClipValLoop')
test_cfg = dict(type='ClipTestLoop')

default_hooks = dict(
    # 'auto' is the main metric of the evaluator, whatever that is.
    checkpoint=dict(type='AtomicCheckpointHook', save_best='auto', max_keep_ckpts=2),
    visualization=dict(type='ClipVisualizationHook', enable=False),
)
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='ClipStatsHook'),
    dict(type='FiniteLossHook'),
    # The average follows closely at first, so that a short run is not left with its random start.
    dict(
        type='EMAHook',
        ema_type='MomentumAnnealingEMA',
        momentum=0.0005,
        gamma=100,
        update_buffers=True,
    ),
]

visualizer = dict(type='ClipPoseVisualizer', name='visualizer')

randomness = dict(seed=0)
