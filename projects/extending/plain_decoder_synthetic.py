"""The demo with the decoder of plain_decoder.py, whose heatmaps have stride 8."""

_base_ = ['../../configs/diffpose_synthetic.py']

custom_imports = dict(imports=['plain_decoder'])

codec = dict(_base_.codec, heatmap_size=(12, 16), sigma=1.0)

model = dict(
    head=dict(pose_decoder=dict(_delete_=True, type='PlainDecoder', channels=32), decoder=codec)
)

# The targets of the training are drawn with the same codec.
train_pipeline = [
    dict(step, encoder=codec) if step['type'] == 'GenerateTarget' else step
    for step in _base_.train_pipeline
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
