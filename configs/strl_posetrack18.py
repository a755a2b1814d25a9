"""The temporal baseline on PoseTrack18: STRL and an ordinary heatmap head.

Only the head is another than in ``diffpose_posetrack18.py``.
"""

_base_ = ['diffpose_posetrack18.py']

model = dict(
    head=dict(
        _delete_=True,
        type='Float32HeatmapHead',
        in_channels=256,
        out_channels=_base_.num_keypoints,
        deconv_out_channels=(256, 256),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=_base_.codec,
    ),
    test_cfg=dict(_delete_=True, flip_test=True, flip_mode='heatmap', shift_heatmap=False),
)
