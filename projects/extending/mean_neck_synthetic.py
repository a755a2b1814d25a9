"""The demo with the neck of mean_neck.py."""

_base_ = ['../../configs/diffpose_synthetic.py']

custom_imports = dict(imports=['mean_neck'])

model = dict(
    neck=dict(
        _delete_=True,
        type='MeanNeck',
        in_channels=128,
        num_frames=len(_base_.frame_offsets),
    )
)
