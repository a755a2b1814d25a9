"""DiffPose for real people: MoveNet's answers on five frames, merged by STRL, 17 COCO joints.

The backbone is MoveNet Thunder as it was published, and frozen. It says what each frame looks like
and where its joints seem to be; neck and decoder learn what five such frames together mean, from
clips that are damaged as video is, and labels of the clips before the damage. Labels are a
teacher's, of videos that nobody annotated, and the truth of drawn people::

    mim run diffpose_mm pseudo_label VIDEO ... --out data/mine
    mim run diffpose_mm pseudo_label OTHER ... --out data/mine --split val
    mim run diffpose_mm synthesize --out data/synthetic --train-videos 100 --val-videos 1
    mim run diffpose_mm cache_features diffpose_real --views 1 --amp
    mim train diffpose_mm diffpose_real.py --features features/diffpose_real --amp

The nearest frames, which steady a joint, and those 4 away, an eighth of a second at 30 frames a
second, which see what something hides in between.
docs/your_camera.md has the ten lines for a model of one's own, docs/real_people.md what this one
reaches.
"""

_base_ = ['_base_/runtime.py']

# runtime
max_epochs = 10
batch_size = 32
train_cfg = dict(max_epochs=max_epochs, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=20))

# optimisation
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=1.0, norm_type=2),
    paramwise_cfg=dict(
        bias_decay_mult=0.0,
        norm_decay_mult=0.0,
        custom_keys=dict(position_embedding=dict(decay_mult=0.0)),
    ),
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

# clip: frames relative to the keyframe, oldest first
frame_offsets = (-4, -1, 0, 1, 4)

# codec; sizes are (w, h)
num_keypoints = 17
codec = dict(
    type='DiffusionHeatmap',
    input_size=(192, 256),
    heatmap_size=(48, 64),
    sigma=2.0,
    signal_scale=0.2,
)

# model
backbone_channels = 489  # 200 of the picture, 16 and 1 of each joint
model = dict(
    type='TopdownClipEstimator',
    freeze_backbone=True,
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        # pixel * 0.00784302 - 1, as the published graph has it
        mean=[127.50190972] * 3,
        std=[127.50190972] * 3,
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='MoveNetPoseBackbone',
        num_keypoints=num_keypoints,
        init_cfg=dict(type='Pretrained', checkpoint='shipped://movenet-thunder'),
    ),
    neck=dict(
        type='SpatioTemporalNeck',
        in_channels=backbone_channels,
        out_channels=192,
        feature_size=tuple(size // 16 for size in codec['input_size']),
        num_frames=len(frame_offsets),
        embed_dims=128,
        num_layers=1,
        num_heads=4,
        mlp_ratio=2.0,
    ),
    head=dict(
        type='DiffPoseHead',
        in_channels=192,
        out_channels=num_keypoints,
        pose_decoder=dict(
            type='PoseDecoder', channels=(128, 64, 32), out_channels=32, interaction='lookup'
        ),
        schedule=dict(num_steps=1000, kind='cosine'),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=codec,
    ),
    test_cfg=dict(
        sampling_steps=1,
        num_hypotheses=1,
        eta=0.0,
        seed=0,
        flip_test=False,
        crop_tolerance=0.08,  # of a stream: steadier joints, docs/real_people.md
    ),
)

# data
dataset_type = 'ClipDataset'
data_mode = 'topdown'
data_root = 'data/mine/'
synthetic_root = 'data/synthetic/'
metainfo = dict(from_file='configs/_base_/datasets/coco.py')

# The teacher sees the clip whole, this model sees it damaged.
damage = [
    dict(type='ClipMovingOccluder', prob=0.5, size=(0.15, 0.5), speed=(0.0, 0.12)),
    dict(type='ClipMotionBlur', prob=0.2, duration=(1, 8), length=(0.05, 0.25)),
    dict(type='ClipDefocus', prob=0.2, duration=(1, 8), radius=(0.01, 0.05)),
    dict(type='ClipExposure', prob=0.1, duration=(1, 8)),
    dict(type='ClipCompression', prob=0.1, duration=(1, 8)),
    dict(type='ClipDroppedFrames', prob=0.1),
]
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='ClipRandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', scale_factor=(0.75, 1.3), rotate_factor=25),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    *damage,
    dict(type='GenerateTarget', encoder=codec),
    dict(type='WeightByScore'),
    dict(type='PackClipInputs'),
]
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='PackClipInputs'),
]

# What `mim run diffpose_mm pseudo_label VIDEO ... --out data/mine` writes, and drawn people, whose
# joints are taken by name: PoseTrack has no eyes, COCO no top of the head.
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='ClipBlockSampler'),
    dataset=dict(
        type='ConcatDataset',
        ignore_keys=['CLASSES'],  # the annotation files' own words, which differ
        datasets=[
            dict(
                type='RepeatDataset',
                times=2,
                dataset=dict(
                    type=dataset_type,
                    data_root=data_root,
                    data_mode=data_mode,
                    metainfo=metainfo,
                    ann_file='annotations/train',
                    data_prefix=dict(img=''),
                    frame_offsets=frame_offsets,
                    pipeline=train_pipeline,
                ),
            ),
            dict(
                type=dataset_type,
                data_root=synthetic_root,
                data_mode=data_mode,
                metainfo=metainfo,
                label_keypoints='posetrack17',
                ann_file='annotations/posetrack18_train.json',
                data_prefix=dict(img=''),
                frame_offsets=frame_offsets,
                pipeline=train_pipeline,
            ),
        ],
    ),
)
val_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='ClipBlockSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode=data_mode,
        metainfo=metainfo,
        ann_file='annotations/val',
        data_prefix=dict(img=''),
        frame_offsets=frame_offsets,
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader

# COCO's joints and sigmas; the labels are those of the samples.
val_evaluator = dict(type='CocoMetric')
test_evaluator = val_evaluator
