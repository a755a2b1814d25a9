"""DiffPose on PoseTrack18 with ViT-S, 256x192 (h x w)."""

_base_ = ['diffpose_posetrack18.py']

optim_wrapper = dict(paramwise_cfg=dict(num_layers=12, layer_decay_rate=0.8))

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            embed_dims=384,
            num_layers=12,
            num_heads=12,
            feedforward_channels=1536,
        ),
        drop_path_rate=0.1,
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/'
            'coco/td-hm_ViTPose-small_8xb64-210e_coco-256x192-62d7a712_20230314.pth'
            ' or hf:usyd-community/vitpose-plus-small',
        ),
    ),
    neck=dict(in_channels=384),
)
