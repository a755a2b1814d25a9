"""DiffPose on PoseTrack18: ViT-B, 256x192 (h x w), five frames, detector boxes at test.

ViT-B is a choice: which ViT the paper used is not known.

The recipe is for 8 GPUs with 16 clips each::

    mim train diffpose_mm diffpose_posetrack18.py --launcher pytorch --gpus 8 --amp

One GPU needs no other config: ``--auto-scale-lr`` scales the learning rate by the batch size of
the run over ``auto_scale_lr.base_batch_size``::

    mim train diffpose_mm diffpose_posetrack18.py --amp --auto-scale-lr

The backbone starts from ViTPose-B's COCO weights: those of mmpose's model zoo or, where that cannot
be reached, of ViTPose's authors on the Hugging Face hub (the same network, trained another time).
The log says which. Without either::

    mim train diffpose_mm diffpose_posetrack18.py --cfg-options model.backbone.init_cfg=None

Training boxes are the annotated ones, enlarged by 25 %; test boxes are those of mmpose's
PoseTrack18 detections. To test with annotated boxes (such numbers are not comparable with the
literature's)::

    mim test diffpose_mm diffpose_posetrack18.py --checkpoint CHECKPOINT \
        --cfg-options test_dataloader.dataset.bbox_file=None
"""

_base_ = ['_base_/runtime.py']

# runtime
max_epochs = 60
batch_size = 16  # of one of 8 GPUs
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
default_hooks = dict(checkpoint=dict(interval=5))

# optimisation
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-4, betas=(0.9, 0.999), weight_decay=0.1),
    # Layers of the backbone learn the slower the nearer they stand to the image; all that is not
    # the backbone learns at the full rate. No decay of biases, norms and position embeddings.
    constructor='ClipLayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(num_layers=12, layer_decay_rate=0.75),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, begin=0, end=500, by_epoch=False),
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
auto_scale_lr = dict(base_batch_size=8 * batch_size)

# clip: frames relative to the keyframe, oldest first
frame_offsets = (-2, -1, 0, 1, 2)

# codec; sizes are (w, h)
num_keypoints = 17
codec = dict(
    type='DiffusionHeatmap',
    input_size=(192, 256),
    heatmap_size=(48, 64),
    sigma=2,
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
        type='ClipVisionTransformer',
        arch='base',
        img_size=codec['input_size'][::-1],
        patch_size=16,
        qkv_bias=True,
        drop_path_rate=0.3,
        with_cls_token=False,
        out_type='featmap',
        patch_cfg=dict(padding=2),
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/'
            'coco/td-hm_ViTPose-base_8xb64-210e_coco-256x192-216eae50_20230314.pth'
            ' or hf:usyd-community/vitpose-base',
        ),
    ),
    neck=dict(
        type='SpatioTemporalNeck',
        in_channels=768,
        out_channels=256,
        feature_size=tuple(size // 16 for size in codec['input_size']),
        num_frames=len(frame_offsets),
        embed_dims=384,
        num_layers=4,
        num_heads=6,
    ),
    head=dict(
        type='DiffPoseHead',
        in_channels=256,
        out_channels=num_keypoints,
        pose_decoder=dict(
            type='PoseDecoder', channels=(256, 128, 64), out_channels=64, interaction='lookup'
        ),
        schedule=dict(num_steps=1000, kind='cosine'),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=codec,
    ),
    test_cfg=dict(
        sampling_steps=4,
        num_hypotheses=1,
        eta=0.0,
        seed=0,
        flip_test=True,
    ),
)

# data
dataset_type = 'PoseTrack18ClipDataset'
data_mode = 'topdown'
data_root = 'data/posetrack18/'

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='ClipRandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody', prob=0.3),
    dict(type='RandomBBoxTransform', scale_factor=(0.65, 1.35), rotate_factor=45),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackClipInputs'),
]
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='PackClipInputs'),
]

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=4,
    persistent_workers=True,
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
    batch_size=batch_size,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='ClipBlockSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_mode=data_mode,
        ann_file='annotations/posetrack18_val.json',
        bbox_file='annotations/posetrack18_val_human_detections.json',
        filter_cfg=dict(bbox_score_thr=0.4),
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
