"""DiffPose on PoseTrack18 with ViT-L, 384x288.

The backbone starts from the weights for 256x192; their position embedding is resized at load.
"""

_base_ = ['diffpose_posetrack18_vit-l.py']

codec = dict(_base_.codec, input_size=(288, 384), heatmap_size=(72, 96), sigma=3)

model = dict(
    backbone=dict(img_size=(384, 288)),
    neck=dict(feature_size=(18, 24)),
    head=dict(decoder=codec),
)

resized = dict(
    TopdownAffine=dict(input_size=codec['input_size']), GenerateTarget=dict(encoder=codec)
)
train_pipeline = [dict(step, **resized.get(step['type'], {})) for step in _base_.train_pipeline]
val_pipeline = [dict(step, **resized.get(step['type'], {})) for step in _base_.val_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
