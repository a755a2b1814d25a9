"""DiffPose on PoseTrack18 with ViT-H, 256x192 (h x w)."""

_base_ = ['diffpose_posetrack18.py']

optim_wrapper = dict(paramwise_cfg=dict(num_layers=32, layer_decay_rate=0.85))

model = dict(
    backbone=dict(
        arch='huge',
        drop_path_rate=0.55,
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/'
            'coco/td-hm_ViTPose-huge_8xb64-210e_coco-256x192-e32adcd4_20230314.pth'
            ' or hf:usyd-community/vitpose-plus-huge',
        ),
    ),
    neck=dict(in_channels=1280),
)
