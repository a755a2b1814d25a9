"""MoveNet Thunder as it was published: one frame, 17 COCO joints, weights that come along.

The single-frame teacher and baseline for real people; nothing has to be downloaded::

    mim run diffpose_mm infer walk.mp4 --config movenet_thunder \
        --checkpoint shipped://movenet-thunder --det-model movenet-multipose --out out

The network is not trained here. Heatmaps, not coordinates, are averaged over the mirrored crop
(``model.test_cfg.flip_test``); without that, joints are those of the published graph.
"""

_base_ = ['_base_/runtime.py']

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
        init_cfg=dict(type='Pretrained', checkpoint='shipped://movenet-thunder'),
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
dataset_type = 'PoseTrack18ClipDataset'
data_mode = 'topdown'
data_root = 'data/coco17/'
metainfo = dict(from_file='configs/_base_/datasets/coco.py')

# Thunder was trained on crops in which a person fills about this part.
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackClipInputs'),
]
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='ClipBlockSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode=data_mode,
        metainfo=metainfo,
        ann_file='annotations/val.json',
        data_prefix=dict(img=''),
        frame_offsets=frame_offsets,
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='PoseTrackAP')
test_evaluator = val_evaluator
