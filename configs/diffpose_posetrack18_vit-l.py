"""DiffPose on PoseTrack18 with ViT-L, 256x192 (h x w)."""

_base_ = ['diffpose_posetrack18.py']

optim_wrapper = dict(paramwise_cfg=dict(num_layers=24, layer_decay_rate=0.8))

model = dict(
    backbone=dict(
        arch='large',
        drop_path_rate=0.5,
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/'
            'coco/td-hm_ViTPose-large_8xb64-210e_coco-256x192-53609f55_20230314.pth'
            ' or hf:usyd-community/vitpose-plus-large',
        ),
    ),
    neck=dict(in_channels=1024),
)
