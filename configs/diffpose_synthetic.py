"""DiffPose on the synthetic PoseTrack: the demo, small enough to be trained on two CPU cores.

The backbone is a narrow ResNet from random weights, the input is 128x96. The data are written by::

    mim run diffpose_mm synthesize --out data/synthetic

A third of the cost and most of the way is the single-frame model, so it goes first and this one
starts from its backbone and neck::

    mim train diffpose_mm configs/heatmap_synthetic.py --amp
    mim train diffpose_mm configs/diffpose_synthetic.py --amp --cfg-options load_from=WEIGHTS.pth

It is a root of its own, like ``diffpose_posetrack18.py``, and not on top of it: hardly a value is
the same, and either can be read from top to bottom.

There is no detector here: ground-truth boxes are used in training *and* in testing, so the numbers
cannot be compared with those of detector boxes.
"""

_base_ = ['_base_/runtime.py']

# runtime
max_epochs = 20
batch_size = 16
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
default_hooks = dict(checkpoint=dict(interval=5), logger=dict(interval=20))

# optimisation
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs,
        eta_min=0,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=batch_size)

# clip: frames relative to the keyframe, oldest first. Three of them, two frames apart, show a
# CPU as much time as five in a row at three fifths of the cost.
frame_offsets = (-2, 0, 2)

# codec; sizes are (w, h)
num_keypoints = 17
codec = dict(
    type='DiffusionHeatmap',
    input_size=(96, 128),
    heatmap_size=(24, 32),
    sigma=2.0,
    signal_scale=0.2,
)

# model
model = dict(
    type='TopdownClipEstimator',
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        # Three stages end at stride 16.
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        stem_channels=32,
        base_channels=32,
        init_cfg=None,
    ),
    neck=dict(
        type='SpatioTemporalNeck',
        in_channels=128,
        out_channels=128,
        feature_size=tuple(size // 16 for size in codec['input_size']),
        num_frames=len(frame_offsets),
        embed_dims=128,
        num_layers=2,
        num_heads=4,
    ),
    head=dict(
        type='DiffPoseHead',
        in_channels=128,
        out_channels=num_keypoints,
        pose_decoder=dict(
            type='PoseDecoder', channels=(128, 64, 32), out_channels=32, interaction='lookup'
        ),
        schedule=dict(num_steps=1000, kind='cosine'),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=codec,
    ),
    # One step answers with the mean of all poses that fit, which is what AP joint by joint rewards;
    # more steps choose one of them (see the tables in the README).
    test_cfg=dict(
        sampling_steps=1,
        num_hypotheses=1,
        eta=0.0,
        seed=0,
        flip_test=True,
    ),
)

# data
dataset_type = 'PoseTrack18ClipDataset'
data_mode = 'topdown'
data_root = 'data/synthetic/'

# PoseTrack's boxes are 15 % longer than the joints on every side; so small an input wants no more.
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='ClipRandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', scale_factor=(0.75, 1.3), rotate_factor=20),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackClipInputs'),
]
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='PackClipInputs'),
]

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='ClipBlockSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode=data_mode,
        ann_file='annotations/posetrack18_train.json',
        data_prefix=dict(img=''),
        frame_offsets=frame_offsets,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='ClipBlockSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode=data_mode,
        ann_file='annotations/posetrack18_val.json',
        data_prefix=dict(img=''),
        frame_offsets=frame_offsets,
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader

# The metric asks the tested data set for its annotation file and whose boxes it has.
val_evaluator = dict(type='PoseTrackAP')
test_evaluator = val_evaluator
