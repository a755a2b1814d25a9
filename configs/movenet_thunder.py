"""MoveNet Thunder as it was published: one frame, 17 COCO joints, weights that come along.

The single-frame teacher and baseline for real people; nothing has to be downloaded::

    mim run diffpose_mm infer walk.mp4 --config movenet_thunder \
        --checkpoint shipped://movenet-thunder --det-model movenet-multipose --out out

Heatmaps, not coordinates, are averaged over the mirrored crop
(``model.test_cfg.flip_test``); without that, joints are those of the published graph.

The recipe for training it further, on people of one's own with 17 COCO joints, is a start and was
not measured. It trains the heatmaps; the other three heads stay as they were published.
"""

_base_ = ['_base_/runtime.py']

# runtime
max_epochs = 20
batch_size = 32
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
default_hooks = dict(checkpoint=dict(interval=5))

# optimisation
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
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

# clip: the keyframe alone
frame_offsets = (0,)

# codec; sizes are (w, h). It makes targets for whoever trains; the head decodes by itself.
num_keypoints = 17
codec = dict(type='MSRAHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=2)

# model
model = dict(
    type='TopdownClipEstimator',
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        # pixel * 0.00784302 - 1, as the published graph has it
        mean=[127.50190972] * 3,
        std=[127.50190972] * 3,
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='MoveNetBackbone',
        width=1.75,
        outputs=('p4',),
        init_cfg=dict(
            type='Pretrained', prefix='backbone.', checkpoint='shipped://movenet-thunder'
        ),
    ),
    head=dict(
        type='MoveNetHead',
        in_channels=24,
        out_channels=num_keypoints,
        decoder=codec,
        init_cfg=dict(type='Pretrained', prefix='head.', checkpoint='shipped://movenet-thunder'),
    ),
    test_cfg=dict(flip_test=True),
)

# data
# What `mim run diffpose_mm pseudo_label VIDEO ... --out data/mine` writes.
dataset_type = 'ClipDataset'
data_mode = 'topdown'
data_root = 'data/mine/'
metainfo = dict(from_file='configs/_base_/datasets/coco.py')

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='ClipRandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', scale_factor=(0.75, 1.3), rotate_factor=30),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='WeightByScore'),
    dict(type='PackClipInputs'),
]
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackClipInputs'),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='ClipBlockSampler'),
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
)
val_dataloader = dict(
    batch_size=batch_size,
    num_workers=2,
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
