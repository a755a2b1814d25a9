"""DiffPose on PoseTrack18 with ViT-B, 384x288 (h x w).

The backbone starts from the weights for 256x192; their position embedding is resized at load. For
another ViT take another base, for example ``diffpose_posetrack18_vit-l.py``, and all else as here.
"""

_base_ = ['diffpose_posetrack18.py']

codec = dict(_base_.codec, input_size=(288, 384), heatmap_size=(72, 96), sigma=3)

model = dict(
    backbone=dict(img_size=codec['input_size'][::-1]),
    neck=dict(feature_size=tuple(size // 16 for size in codec['input_size'])),
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
